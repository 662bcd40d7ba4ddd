//! An order as the two back ends look at it.

use http::StatusCode;
use serde_json::{Value, json};

use super::menu::Menu;
use crate::httpd::Failure;

/// Kinds of dishes in one order, and pieces of each.
const ITEMS_MAX: usize = 20;
const COUNT_MAX: u64 = 99;
/// The longest address, characters.
const ADDRESS_MAX: usize = 200;

/// An accepted order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Order {
    pub(super) items: Value,
    pub(super) total: Value,
    pub(super) address: Value,
}

/// Why an order is not accepted, in both languages, and which field is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    field: &'static str,
    ko: String,
    en: String,
}

/// What comes of looking at an order.
pub(super) type Judged = Result<Order, Refusal>;

/// Dishes and how many of each, checked.
pub(super) type Items = Vec<(u32, u64)>;

/// A refusal.
pub(super) fn refusal(
    status: StatusCode,
    field: &'static str,
    ko: impl Into<String>,
    en: impl Into<String>,
) -> Refusal {
    Refusal { status, field, ko: ko.into(), en: en.into() }
}

impl Refusal {
    /// As the server answers it; the front end shows the reason.
    pub(super) fn failure(self) -> Failure {
        let Refusal { status, field, ko, en } = self;
        let log = format!("order refused: {field}: {en}");
        let detail = json!({ "field": field, "ko": ko, "en": en });
        Failure::logged(status, "shop", log).json(&detail)
    }

    #[cfg(test)]
    pub(super) fn told(&self) -> (u16, &'static str) {
        (self.status.as_u16(), self.field)
    }
}

fn bad(field: &'static str, ko: &str, en: &str) -> Refusal {
    refusal(StatusCode::BAD_REQUEST, field, ko, en)
}

fn tampered(field: &'static str, ko: String, en: String) -> Refusal {
    refusal(StatusCode::FORBIDDEN, field, ko, en)
}

/// The naive way: whatever the page says is true.
pub(super) fn believe(body: &[u8]) -> Judged {
    let body: Value = serde_json::from_slice(body)
        .map_err(|_| bad("body", "JSON이 아니에요.", "This is not JSON."))?;
    Ok(Order {
        items: body["items"].clone(),
        total: body["total"].clone(),
        address: body["address"].clone(),
    })
}

/// The careful way. `cart` is what the signed cookie says: `None` without one, `Some(None)` when
/// its signature is wrong.
pub(super) fn judge(
    body: &[u8],
    is_json: bool,
    menu: &Menu,
    cart: Option<Option<Items>>,
) -> Judged {
    if !is_json {
        return Err(refusal(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "body",
            "application/json만 받아요.",
            "Only application/json is taken.",
        ));
    }
    let body: Value = serde_json::from_slice(body)
        .map_err(|_| bad("body", "JSON이 아니에요.", "This is not JSON."))?;
    let known = ["items", "total", "address"];
    let Some(object) = body.as_object() else {
        return Err(bad("body", "주문은 JSON 객체예요.", "An order is a JSON object."));
    };
    if !object.keys().all(|k| known.contains(&k.as_str())) {
        return Err(bad("body", "모르는 항목이 있어요.", "There is a field that no order has."));
    }
    let ordered = items(&body, menu, 1)?;
    match cart {
        None => return Err(bad("cart", "장바구니 쿠키가 없어요.", "There is no cart cookie.")),
        Some(None) => {
            let ko = "장바구니 쿠키가 바뀌었어요: 서명이 맞지 않아요.".to_owned();
            let en = "The cart cookie has been changed: its signature is wrong.".to_owned();
            return Err(tampered("cart", ko, en));
        }
        Some(Some(cart)) if cart != ordered => {
            let ko = "주문이 장바구니와 달라요.".to_owned();
            let en = "The order is not what is in the cart.".to_owned();
            return Err(tampered("items", ko, en));
        }
        Some(Some(_)) => {}
    }
    let address = body["address"].as_str().map(str::trim).unwrap_or_default();
    if address.is_empty()
        || address.chars().count() > ADDRESS_MAX
        || address.chars().any(char::is_control)
    {
        return Err(bad(
            "address",
            "주소를 200자 안으로 적어 주세요.",
            "An address of 1 to 200 characters is needed.",
        ));
    }
    let total = total(&ordered, menu);
    if body["total"].as_u64() != Some(total) {
        let sent = &body["total"];
        let ko = format!("합계가 달라요: 메뉴로는 {total}원인데 {sent}원이 왔어요.");
        let en = format!("The total is not right: by the menu {total} won, not {sent}.");
        return Err(tampered("total", ko, en));
    }
    Ok(Order { items: priced(&ordered, menu), total: total.into(), address: address.into() })
}

/// The dishes of an order or a cart: at least so many kinds, each once, each on the menu, each with
/// the price of the menu if it names one.
pub(super) fn items(body: &Value, menu: &Menu, least: usize) -> Result<Items, Refusal> {
    let list = body["items"].as_array().filter(|l| (least..=ITEMS_MAX).contains(&l.len()));
    let list = list.ok_or_else(|| {
        bad(
            "items",
            "음식을 1가지에서 20가지까지 골라 주세요.",
            "1 to 20 kinds of dishes are needed.",
        )
    })?;
    let mut out = Items::new();
    for item in list {
        let dish = item["id"].as_u64().and_then(|id| menu.dish(id)).ok_or_else(|| {
            bad("id", "메뉴에 없는 음식이에요.", "There is no such dish on the menu.")
        })?;
        let count =
            item["count"].as_u64().filter(|n| (1..=COUNT_MAX).contains(n)).ok_or_else(|| {
                bad("count", "개수는 1에서 99까지예요.", "A count from 1 to 99 is needed.")
            })?;
        if out.iter().any(|o| o.0 == dish.id) {
            return Err(bad("id", "같은 음식이 두 번 있어요.", "A dish is there twice."));
        }
        let price = &item["price"];
        if !price.is_null() && price.as_u64() != Some(u64::from(dish.price)) {
            let ko = format!("{} 가격은 {}원인데 {price}원이 왔어요.", dish.name.ko, dish.price);
            let en = format!("{} costs {} won, not {price}.", dish.name.en, dish.price);
            return Err(tampered("price", ko, en));
        }
        out.push((dish.id, count));
    }
    Ok(out)
}

/// What dishes cost by the menu, won.
fn total(items: &Items, menu: &Menu) -> u64 {
    let price = |id: u32| menu.dish(id.into()).map_or(0, |d| u64::from(d.price));
    items.iter().map(|&(id, count)| price(id) * count).sum()
}

fn priced(items: &Items, menu: &Menu) -> Value {
    let item = |&(id, count): &(u32, u64)| {
        let price = menu.dish(id.into()).map_or(0, |d| d.price);
        json!({ "id": id, "count": count, "price": price })
    };
    items.iter().map(item).collect()
}

/// Dishes as the front end reads them.
pub(super) fn as_json(items: &Items) -> Value {
    let list: Vec<Value> =
        items.iter().map(|(id, count)| json!({ "id": id, "count": count })).collect();
    json!({ "items": list })
}
