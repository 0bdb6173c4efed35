//! Whether a column can have the default that its definition gives it.

use crate::data::cast::from_text;
use crate::data::complex::element;
use crate::error::{SqlError, SqlResult};
use crate::model::{DataType, DefaultValue};
use crate::sql::ColumnDef;

pub fn check(def: &ColumnDef) -> SqlResult<()> {
    match &def.default {
        None | Some(DefaultValue::Null) => Ok(()),
        Some(DefaultValue::Function(function)) => check_function(function, &def.data_type),
        Some(DefaultValue::Literal(text)) => check_literal(text, def),
    }
}

fn check_function(function: &str, data_type: &DataType) -> SqlResult<()> {
    let (name, precision) = match function.split_once('(') {
        Some((name, rest)) => (name, rest.trim_end_matches(')').parse::<u8>().unwrap_or(u8::MAX)),
        None => (function, 0),
    };
    let (fits, types) = match name {
        "CURRENT_DATE" => (*data_type == DataType::Date, "DATE and DATEV2"),
        "CURRENT_TIMESTAMP" => {
            if let DataType::DateTime { scale } = data_type
                && precision > *scale
            {
                return Err(SqlError::general(format!(
                    "default value precision: {precision} can not be greater than type precision: {scale}"
                )));
            }
            (matches!(data_type, DataType::DateTime { .. }), "DATETIME and DATETIMEV2")
        }
        "BITMAP_EMPTY" => (*data_type == DataType::Bitmap, "BITMAP"),
        // The parser lets PI and E through besides.
        _ => (*data_type == DataType::Double, "DOUBLE"),
    };
    if fits {
        return Ok(());
    }
    let name = name.to_lowercase();
    Err(SqlError::general(format!("Types other than {types} cannot use {name} as the default value")))
}

fn check_literal(text: &str, def: &ColumnDef) -> SqlResult<()> {
    let only_null =
        |kind: &str| Err(SqlError::general(format!("{kind} type column default value just support null")));
    match &def.data_type {
        DataType::Json => only_null("Json"),
        DataType::Variant => only_null("Variant"),
        DataType::Complex(_) => match def.data_type.primitive_name() {
            "ARRAY" if text == "[]" => Ok(()),
            "ARRAY" => Err(SqlError::general("Array type column default value only support null or []")),
            "MAP" => only_null("Map"),
            "STRUCT" => only_null("Struct"),
            _ => Ok(()),
        },
        DataType::Hll => Err(SqlError::general("Hll type column can not set default value")),
        DataType::Bitmap => {
            Err(SqlError::general("Bitmap type column default value only support null or BITMAP_EMPTY"))
        }
        DataType::QuantileState => {
            Err(SqlError::general("Quantile_state type column can not set default value"))
        }
        DataType::Char { length } | DataType::Varchar { length } if text.len() > *length as usize => {
            Err(SqlError::general(format!("Default value is too long: {text}")))
        }
        data_type => match from_text(text, &element(data_type)) {
            Ok(_) => Ok(()),
            Err(_) if data_type.is_date() => {
                Err(SqlError::general(format!("date literal [{text}] is invalid")))
            }
            Err(_) if *data_type == DataType::Boolean => {
                Err(SqlError::general(format!("Invalid BOOLEAN literal: {text}")))
            }
            Err(_) if data_type.is_integer() && text.parse::<i128>().is_ok() => Err(SqlError::general(
                format!("Number out of range[{text}]. type: {}", data_type.primitive_name()),
            )),
            Err(_) => Err(SqlError::general(format!("Invalid number format: {text}"))),
        },
    }
}
