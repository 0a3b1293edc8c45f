//! See `portcullis_fuzz::token`, and the package's README for how to run it.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portcullis_fuzz::token(data));
