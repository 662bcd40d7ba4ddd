//! The pages that come with the server, and failures on their way to one.

use http::header::{self, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use super::body::Contents;
use super::conf::Level;

/// What the server calls itself when it is told to.
pub(super) const PRODUCT: &str = "Apache/2.4.71";
/// The same, with what it really is.
pub(super) const PRODUCT_FULL: &str = "Apache/2.4.71 (Netarium)";

/// Why there is no answer but a status.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    /// For the error log: how bad, which part, and what.
    pub(super) log: Option<(Level, &'static str, String)>,
    /// Fields of the answer: `Allow`, `Location`, `Retry-After`…
    pub(crate) fields: Vec<(HeaderName, HeaderValue)>,
    /// Added to the page, as text.
    pub(crate) detail: Option<String>,
    /// Instead of a page, for scripts: JSON.
    pub(crate) json: Option<String>,
}

impl From<StatusCode> for Failure {
    fn from(status: StatusCode) -> Failure {
        Failure { status, log: None, fields: Vec::new(), detail: None, json: None }
    }
}

impl Failure {
    /// A failure that the error log tells of.
    pub(crate) fn logged(
        status: StatusCode,
        module: &'static str,
        text: impl Into<String>,
    ) -> Failure {
        Failure { log: Some((Level::Error, module, text.into())), ..Failure::from(status) }
    }

    /// The same with another field.
    pub(crate) fn field(mut self, name: HeaderName, value: &str) -> Failure {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.fields.push((name, value));
        }
        self
    }

    /// The same with a sentence for the reader of the page.
    pub(crate) fn detail(mut self, text: impl Into<String>) -> Failure {
        self.detail = Some(text.into());
        self
    }

    /// The same, answered with JSON: `{"error": …}`.
    pub(crate) fn json(mut self, error: &serde_json::Value) -> Failure {
        self.json = Some(format!("{}\n", serde_json::json!({ "error": error })));
        self
    }

    /// A failure of a redirection or refusal with a place to go to.
    pub(crate) fn to(status: StatusCode, location: &str) -> Failure {
        Failure::from(status).field(header::LOCATION, location)
    }
}

/// The page for a status, with the fields of the failure.
pub(super) fn page(failure: &Failure, signature: Option<&str>) -> Response<Contents> {
    let status = failure.status;
    if let Some(text) = &failure.json {
        return finished(failure, text.clone(), "application/json");
    }
    let reason = status.canonical_reason().unwrap_or("Error");
    let code = status.as_u16();
    let location = failure.fields.iter().find(|f| f.0 == header::LOCATION);
    let why = match location.and_then(|f| f.1.to_str().ok()) {
        Some(to) if status.is_redirection() => {
            let to = html(to);
            format!("The document has moved <a href=\"{to}\">here</a>.")
        }
        _ => sentence(status).to_owned(),
    };
    let detail =
        failure.detail.as_deref().map(|d| format!("<p>{}</p>", html(d))).unwrap_or_default();
    let signature = signature.map(|s| format!("<hr>\n<address>{}</address>\n", html(s)));
    let text = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <title>{code} {reason}</title></head>\n<body><h1>{reason}</h1><p>{why}</p>{detail}\
         {}</body></html>\n",
        signature.unwrap_or_default()
    );
    finished(failure, text, "text/html; charset=utf-8")
}

fn finished(failure: &Failure, text: String, kind: &'static str) -> Response<Contents> {
    let mut response = Response::new(Contents::new(text));
    *response.status_mut() = failure.status;
    for (name, value) in &failure.fields {
        response.headers_mut().append(name.clone(), value.clone());
    }
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn sentence(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "Your browser sent a request that this server could not understand.",
        401 => "This server could not verify that you are who you have to be.",
        403 => "You don't have permission to access this resource.",
        404 => "The requested URL was not found on this server.",
        405 => "The requested method is not allowed for this URL.",
        408 => "Server timeout waiting for the HTTP request from the client.",
        410 => {
            "The requested resource is no longer available on this server and there is no \
                forwarding address."
        }
        411 => "A request of the requested method requires a valid Content-length.",
        412 => "The precondition on the request for this URL evaluated to false.",
        413 => {
            "The requested resource does not allow request data with this request, or the \
                amount of data exceeds the capacity limit."
        }
        414 => "The requested URL's length exceeds the capacity limit for this server.",
        415 => "The supplied request data is not in a format acceptable for this resource.",
        416 => {
            "None of the range-specifier values in the Range request-header field overlap the \
                current extent of the selected resource."
        }
        417 => {
            "The expectation given in the Expect request-header field could not be met by this \
                server. Only the 100-continue expectation is supported."
        }
        422 => "The server understands the request, but not what it says.",
        429 => "Too many requests.",
        431 => "The request's header fields are larger than this server takes.",
        500 => {
            "The server encountered an internal error and was unable to complete your request. \
                More information may be available in the server error log."
        }
        501 => "The requested method or coding is not known to this server.",
        503 => {
            "The server is temporarily unable to service your request due to capacity problems. \
                Please try again later."
        }
        505 => "The major version of HTTP of the request is not spoken by this server.",
        507 => "There is no room left for what should be stored.",
        _ => "The server could not fulfil the request.",
    }
}

/// Text as HTML shows it.
pub(super) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
