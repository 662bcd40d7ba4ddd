//! A store of JSON objects with numbers, kept in memory: create, read, update, delete.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use http::{Method, StatusCode};
use serde_json::{Map, Value};

/// The most bytes of one object, as JSON.
pub(super) const OBJECT_MAX: usize = 64 * 1024;

/// A store.
#[derive(Debug)]
pub(super) struct Store {
    limit: usize,
    next: Cell<u64>,
    all: RefCell<BTreeMap<u64, Map<String, Value>>>,
}

/// What an operation answers: a status, a value, and the number of a new object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) value: Option<Value>,
    pub(super) created: Option<u64>,
}

impl Store {
    /// A store of at most so many objects, with those of the lab file.
    pub(super) fn new(limit: usize, items: Vec<Map<String, Value>>) -> Store {
        let all: BTreeMap<u64, _> = (1..).zip(items.into_iter().take(limit)).collect();
        Store { limit, next: Cell::new(all.len() as u64 + 1), all: RefCell::new(all) }
    }

    /// Everything, each object with its number.
    pub(super) fn list(&self) -> Value {
        self.all.borrow().iter().map(|(id, item)| numbered(*id, item)).collect()
    }

    /// Carries out a method on the whole store, or on one object.
    pub(super) fn call(&self, method: &Method, id: Option<u64>, body: &[u8]) -> Reply {
        let result = match (method.as_str(), id) {
            ("GET" | "HEAD", None) => Ok(self.list()),
            ("POST", None) => return self.create(body),
            ("GET" | "HEAD", Some(id)) => self.read(id),
            ("PUT", Some(id)) => self.change(id, body, false),
            ("PATCH", Some(id)) => self.change(id, body, true),
            ("DELETE", Some(id)) => {
                let gone = self.all.borrow_mut().remove(&id);
                let status =
                    if gone.is_some() { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND };
                return Reply { status, value: None, created: None };
            }
            _ => Err(StatusCode::METHOD_NOT_ALLOWED),
        };
        match result {
            Ok(value) => Reply { status: StatusCode::OK, value: Some(value), created: None },
            Err(status) => Reply { status, value: None, created: None },
        }
    }

    fn create(&self, body: &[u8]) -> Reply {
        let fail = |status| Reply { status, value: None, created: None };
        let item = match object(body) {
            Ok(item) => item,
            Err(status) => return fail(status),
        };
        if self.all.borrow().len() >= self.limit {
            return fail(StatusCode::INSUFFICIENT_STORAGE);
        }
        let id = self.next.get();
        self.next.set(id + 1);
        let value = numbered(id, &item);
        self.all.borrow_mut().insert(id, item);
        Reply { status: StatusCode::CREATED, value: Some(value), created: Some(id) }
    }

    fn read(&self, id: u64) -> Result<Value, StatusCode> {
        self.all.borrow().get(&id).map(|item| numbered(id, item)).ok_or(StatusCode::NOT_FOUND)
    }

    fn change(&self, id: u64, body: &[u8], merge: bool) -> Result<Value, StatusCode> {
        let new = object(body)?;
        let mut all = self.all.borrow_mut();
        let item = all.get_mut(&id).ok_or(StatusCode::NOT_FOUND)?;
        let mut next = if merge { item.clone() } else { Map::new() };
        for (key, value) in new {
            // RFC 7396: null takes away.
            if merge && value.is_null() {
                next.remove(&key);
            } else {
                next.insert(key, value);
            }
        }
        if Value::from(next.clone()).to_string().len() > OBJECT_MAX {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        *item = next;
        Ok(numbered(id, item))
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, StatusCode> {
    if body.len() > OBJECT_MAX {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(mut map)) => {
            map.remove("id");
            Ok(map)
        }
        Ok(_) => Err(StatusCode::UNPROCESSABLE_ENTITY),
        Err(_) => Err(StatusCode::BAD_REQUEST),
    }
}

fn numbered(id: u64, item: &Map<String, Value>) -> Value {
    let mut map = Map::new();
    map.insert("id".to_owned(), id.into());
    map.extend(item.clone());
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_come_and_go() {
        let item = |t: &str| serde_json::from_str::<Map<String, Value>>(t).unwrap();
        let store = Store::new(2, vec![item("{\"name\":\"bibimbap\",\"price\":9000}")]);
        let call = |method: Method, id, body: &str| {
            let r = store.call(&method, id, body.as_bytes());
            (r.status.as_u16(), r.value.map(|v| v.to_string()).unwrap_or_default())
        };
        assert_eq!(
            call(Method::GET, Some(1), ""),
            (200, "{\"id\":1,\"name\":\"bibimbap\",\"price\":9000}".into())
        );
        assert_eq!(
            call(Method::POST, None, "{\"id\":7,\"name\":\"naengmyeon\"}"),
            (201, "{\"id\":2,\"name\":\"naengmyeon\"}".into())
        );
        assert_eq!(call(Method::POST, None, "{}").0, 507);
        assert_eq!(call(Method::POST, None, "[]").0, 422);
        assert_eq!(call(Method::POST, None, "{").0, 400);
        assert_eq!(
            call(Method::PATCH, Some(2), "{\"price\":1,\"name\":null}"),
            (200, "{\"id\":2,\"price\":1}".into())
        );
        assert_eq!(call(Method::PUT, Some(2), "{\"z\":1}"), (200, "{\"id\":2,\"z\":1}".into()));
        assert_eq!(call(Method::DELETE, Some(2), "").0, 204);
        assert_eq!(call(Method::GET, Some(2), "").0, 404);
        assert_eq!(call(Method::PUT, None, "{}").0, 405);
        // A number is not given twice.
        assert_eq!(call(Method::POST, None, "{}"), (201, "{\"id\":3}".into()));
        let big = format!("{{\"a\":\"{}\"}}", "x".repeat(OBJECT_MAX));
        assert_eq!(call(Method::POST, None, &big).0, 413);
    }
}
