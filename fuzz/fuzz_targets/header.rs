//! See `portcullis_fuzz::header`, and the package's README for how to run it.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portcullis_fuzz::header(data));
