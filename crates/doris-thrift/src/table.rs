//! The macros behind the tables in [`crate::types`]: one line per field gives the Rust field, its
//! encoding, its decoding and its place in `Debug`.

use std::fmt;

/// Shown instead of values that are secret or may contain a secret (the job info holds the token).
#[derive(Clone, Copy)]
pub(crate) struct Hidden;

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What `Debug` shows of a field.
pub(crate) fn shown<'a>(field: &str, value: &'a dyn fmt::Debug) -> &'a dyn fmt::Debug {
    match field {
        "passwd" | "password" | "token" | "auth_code" | "meta" | "job_info" => &Hidden,
        _ => value,
    }
}

macro_rules! field_type {
    (req $type:ty) => { $type };
    (opt $type:ty) => { Option<$type> };
}

macro_rules! field_put {
    (req $id:literal $value:expr, $out:expr) => {
        $crate::wire::put_field($id, &$value, $out)
    };
    (opt $id:literal $value:expr, $out:expr) => {
        if let Some(value) = &$value {
            $crate::wire::put_field($id, value, $out);
        }
    };
}

macro_rules! field_wrap {
    (req $value:expr) => {
        $value
    };
    (opt $value:expr) => {
        Some($value)
    };
}

macro_rules! field_check {
    (req $struct:ident $id:literal $name:ident, $seen:expr) => {
        if $seen & (1u32 << $id) == 0 {
            return Err($crate::error::DecodeError::MissingField(stringify!($struct), stringify!($name)));
        }
    };
    (opt $struct:ident $id:literal $name:ident, $seen:expr) => {};
}

#[cfg(test)]
macro_rules! field_sample {
    (req $type:ty, $source:expr) => {
        <$type as $crate::sample::Sample>::sample($source)
    };
    (opt $type:ty, $source:expr) => {
        if $source.present() { Some(<$type as $crate::sample::Sample>::sample($source)) } else { None }
    };
}

/// `id req|opt name: Type` lines become a struct with its wire form. Ids stay below 32.
macro_rules! thrift_structs {
    ($(
        $(#[$meta:meta])*
        $struct:ident {
            $( $(#[$field_meta:meta])* $id:literal $kind:ident $name:ident : $type:ty, )*
        }
    )*) => {
    $(
        $(#[$meta])*
        #[derive(Clone, Default, PartialEq)]
        pub struct $struct {
            $( $(#[$field_meta])* pub $name: field_type!($kind $type), )*
        }

        impl std::fmt::Debug for $struct {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($struct))
                    $( .field(stringify!($name), $crate::table::shown(stringify!($name), &self.$name)) )*
                    .finish()
            }
        }

        impl $crate::wire::Wire for $struct {
            const TYPE: u8 = $crate::wire::ty::STRUCT;

            fn put(&self, out: &mut Vec<u8>) {
                $( field_put!($kind $id self.$name, out); )*
                out.push($crate::wire::ty::STOP);
            }

            fn get(reader: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::error::DecodeError> {
                reader.enter()?;
                let mut value = Self::default();
                let mut seen = 0u32;
                while let Some(field) = reader.field()? {
                    match field {
                        $(
                            (<$type as $crate::wire::Wire>::TYPE, $id) => {
                                value.$name =
                                    field_wrap!($kind <$type as $crate::wire::Wire>::get(reader)?);
                                seen |= 1 << $id;
                            }
                        )*
                        (wire_type, _) => reader.skip(wire_type)?,
                    }
                }
                $( field_check!($kind $struct $id $name, seen); )*
                let _ = seen;
                reader.leave();
                Ok(value)
            }
        }

        impl $crate::wire::Struct for $struct {
            const NAME: &'static str = stringify!($struct);
        }

        #[cfg(test)]
        impl $crate::sample::Sample for $struct {
            fn sample(source: &mut $crate::sample::Source<'_>) -> Self {
                Self {
                    $( $name: field_sample!($kind $type, source), )*
                }
            }
        }
    )*

        /// Every struct of this table, for the tests that run over all of them.
        #[cfg(test)]
        pub(crate) const CASES: &[$crate::sample::Case] = &[$( $crate::sample::Case::of::<$struct>(), )*];
    };
}

/// An enum of the IDL: an `i32` with named values, because a newer peer may send numbers we do not know.
macro_rules! thrift_enum {
    ($(#[$meta:meta])* $enum:ident { $( $name:ident = $value:literal, )* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $enum(pub i32);

        impl $enum {
            $( pub const $name: Self = Self($value); )*

            /// Every value with a name.
            pub const ALL: &'static [Self] = &[$( Self::$name, )*];

            /// The name in the IDL; `UNKNOWN` for numbers that it does not list.
            pub fn name(self) -> &'static str {
                match self.0 {
                    $( $value => stringify!($name), )*
                    _ => "UNKNOWN",
                }
            }

            pub fn is_known(self) -> bool {
                Self::ALL.contains(&self)
            }
        }

        impl std::fmt::Display for $enum {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                if self.is_known() { f.write_str(self.name()) } else { write!(f, "{}", self.0) }
            }
        }

        impl std::fmt::Debug for $enum {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({})", self.name(), self.0)
            }
        }

        #[cfg(test)]
        impl $crate::sample::Sample for $enum {
            fn sample(source: &mut $crate::sample::Source<'_>) -> Self {
                Self(<i32 as $crate::sample::Sample>::sample(source))
            }
        }

        impl From<i32> for $enum {
            fn from(value: i32) -> Self {
                Self(value)
            }
        }

        impl $crate::wire::Wire for $enum {
            const TYPE: u8 = $crate::wire::ty::I32;

            fn put(&self, out: &mut Vec<u8>) {
                self.0.put(out);
            }

            fn get(reader: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::error::DecodeError> {
                Ok(Self(reader.i32()?))
            }
        }
    };
}
