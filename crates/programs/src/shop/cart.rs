//! The cart in a cookie: what a server leaves with its client.
//!
//! The naive one holds the page's JSON, prices and all, for everybody to read and change. The careful
//! one holds numbers of dishes and a signature: HMAC-SHA-256 (RFC 2104) with a key that only the
//! server knows. Reading it is harmless; changing it shows.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use netarium_base::Rng;
use serde_json::{Value, json};
use sha2::Sha256;

use super::order::Items;

/// A server's key for carts.
#[derive(Clone)]
pub(super) struct Key([u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// A key from the lab's chance.
    pub(super) fn draw(rng: &mut Rng) -> Key {
        let mut key = [0; 32];
        for eight in key.chunks_exact_mut(8) {
            eight.copy_from_slice(&rng.next_u64().to_be_bytes());
        }
        Key(key)
    }

    fn mac(&self, text: &str) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(text.as_bytes());
        Some(mac)
    }

    /// `1:2,3:1.SIGNATURE`
    pub(super) fn sign(&self, items: &Items) -> String {
        let list: Vec<String> = items.iter().map(|(id, n)| format!("{id}:{n}")).collect();
        let text = list.join(",");
        let mac = self.mac(&text).map(|m| m.finalize().into_bytes());
        format!("{text}.{}", mac.map(|m| URL_SAFE_NO_PAD.encode(m)).unwrap_or_default())
    }

    /// What a cookie says, when the signature is ours.
    pub(super) fn verify(&self, cookie: &str) -> Option<Items> {
        let (text, signature) = cookie.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        // Compared in constant time: how long it takes tells nobody how much is right.
        self.mac(text)?.verify_slice(&signature).ok()?;
        let item = |part: &str| {
            let (id, count) = part.split_once(':')?;
            Some((id.parse().ok()?, count.parse().ok()?))
        };
        text.split(',').filter(|p| !p.is_empty()).map(item).collect()
    }
}

/// The page's cart as a cookie's value.
pub(super) fn plain(cart: &Value) -> String {
    URL_SAFE_NO_PAD.encode(cart.to_string())
}

/// What such a cookie says: anything.
pub(super) fn read_plain(cookie: &str) -> Value {
    let bytes = URL_SAFE_NO_PAD.decode(cookie).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_else(|_| json!({ "items": [] }))
}
