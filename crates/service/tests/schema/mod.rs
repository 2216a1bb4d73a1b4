// SPDX-License-Identifier: Apache-2.0
//! As much of JSON Schema as the service's description uses.
#![allow(dead_code, reason = "each test program uses a part")]

use serde_json::Value;

/// The description that the service serves.
pub(crate) fn description() -> Value {
    serde_json::from_str(devid_service::OPENAPI).expect("JSON")
}

/// Asserts that a value is as the schema of that name says.
#[track_caller]
pub(crate) fn conforms(value: &Value, name: &str) {
    let description = description();
    let schema = &description["components"]["schemas"][name];
    assert!(schema.is_object(), "no schema {name}");
    if let Err(reason) = check(value, schema, &description) {
        panic!("not a {name}: {reason}\n{value:#}");
    }
}

/// Checks a value against a schema of the description.
pub(crate) fn check(value: &Value, schema: &Value, description: &Value) -> Result<(), String> {
    for keyword in schema.as_object().ok_or("a schema is an object")?.keys() {
        const KNOWN: [&str; 9] = [
            "$ref",
            "type",
            "enum",
            "required",
            "properties",
            "additionalProperties",
            "items",
            "description",
            "format",
        ];
        if !KNOWN.contains(&keyword.as_str()) {
            return Err(format!("this test does not know {keyword}"));
        }
    }
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.strip_prefix('#').ok_or("a reference into the description")?;
        let schema = description.pointer(pointer).ok_or(format!("no {reference}"))?;
        return check(value, schema, description);
    }
    let actual = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let allowed = match &schema["type"] {
        Value::String(one) => one == actual,
        Value::Array(some) => some.iter().any(|one| one == actual),
        _ => false,
    };
    if !allowed {
        return Err(format!("{value} is {actual}, not {}", schema["type"]));
    }
    if schema["enum"].as_array().is_some_and(|values| !values.contains(value)) {
        return Err(format!("{value} is none of {}", schema["enum"]));
    }
    for element in value.as_array().into_iter().flatten() {
        check(element, &schema["items"], description)?;
    }
    let Some(members) = value.as_object() else { return Ok(()) };
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().ok_or("a name")?;
        if !members.contains_key(name) {
            return Err(format!("{name} is missing"));
        }
    }
    for (name, member) in members {
        match &schema["properties"][name] {
            Value::Null if schema["additionalProperties"] == false => {
                return Err(format!("{name} is not described"));
            }
            Value::Null => {}
            property => check(member, property, description)
                .map_err(|reason| format!("{name}: {reason}"))?,
        }
    }
    Ok(())
}
