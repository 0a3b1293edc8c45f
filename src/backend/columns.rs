//! Sealed values as database columns, for every database `sqlx` speaks to.
//!
//! [`Encrypted`], [`Sealed`] and [`IndexValue`] are read and written as bytes (`BLOB`, `BYTEA`); wrapped in
//! [`sqlx::types::Text`] they are text. Nothing is opened on the way.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::{Database, Decode, Encode, Type};

use crate::crypto::blind_index::IndexValue;
use crate::crypto::sealed::{Encrypted, Sealed};

macro_rules! as_bytes {
    ([$($of:ident)?] $name:ty, $value:ident => $bytes:expr, $read:expr) => {
        impl<DB: Database, $($of)?> Type<DB> for $name
        where
            [u8]: Type<DB>,
        {
            fn type_info() -> DB::TypeInfo {
                <[u8]>::type_info()
            }

            fn compatible(ty: &DB::TypeInfo) -> bool {
                <[u8]>::compatible(ty)
            }
        }

        impl<'q, DB: Database, $($of)?> Encode<'q, DB> for $name
        where
            Vec<u8>: Encode<'q, DB>,
        {
            fn encode_by_ref(&self, buffer: &mut DB::ArgumentBuffer) -> Result<IsNull, BoxDynError> {
                let $value = self;
                let bytes: &[u8] = $bytes;
                bytes.to_vec().encode(buffer)
            }
        }

        impl<'r, DB: Database, $($of)?> Decode<'r, DB> for $name
        where
            &'r [u8]: Decode<'r, DB>,
        {
            fn decode(value: DB::ValueRef<'r>) -> Result<Self, BoxDynError> {
                let bytes = <&[u8]>::decode(value)?;
                $read(bytes).map_err(Into::into)
            }
        }
    };
}

as_bytes!([] Sealed, sealed => sealed.as_bytes(), Sealed::from_bytes);
as_bytes!([T] Encrypted<T>, value => value.sealed().as_bytes(), |bytes| Sealed::from_bytes(bytes).map(Self::new));
as_bytes!([] IndexValue, value => value.as_bytes(), IndexValue::from_bytes);
