//! Keys in a PKCS#11 module: SoftHSM, the real one.
//!
//! It needs `libsofthsm2.so`, where Debian has it or where `SOFTHSM2_LIB` says, `softhsm2-util`, and `pkcs11-tool` of
//! OpenSC; without them the tests say so by name, and fail under `CI=true`. SoftHSM takes its folder from the
//! environment, so each test runs in a process of its own, over tokens of its own.

mod keys;
mod outage;
mod setup;
mod token;
mod wrap;
