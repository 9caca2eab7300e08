//! One form of each path, before anything is decided by it (spec section 1.2).

use axum::{
    extract::Request,
    http::{Uri, uri::PathAndQuery},
};

/// Drops one slash at the end and decodes what is percent-encoded. A path with a second form (`//`, `/./`, `/../`, `;`,
/// an encoded slash) becomes one that no route has.
pub(crate) fn tidy(mut request: Request) -> Request {
    let raw = request.uri().path();
    let path = canonical(raw).unwrap_or_else(|| NOWHERE.to_owned());
    if path != raw {
        let uri = with_path(request.uri(), &path);
        *request.uri_mut() = uri;
    }
    request
}

fn canonical(raw: &str) -> Option<String> {
    let path = decode(raw)?;
    let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(&path);
    let mut segments = path.strip_prefix('/')?.split('/');
    let fine = path == NOWHERE || segments.all(|segment| !["", ".", ".."].contains(&segment));
    fine.then(|| path.to_owned())
}

/// Decodes characters that mean the same with and without the encoding; everything else is refused, since no route
/// needs it.
fn decode(raw: &str) -> Option<String> {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(c) = rest.chars().next() {
        if c == '%' {
            let byte = u8::from_str_radix(rest.get(1..3).filter(|hex| !hex.starts_with('+'))?, 16).ok()?;
            out.push(Some(char::from(byte)).filter(|c| is_unreserved(*c))?);
            rest = &rest[3..];
        } else {
            out.push(Some(c).filter(|c| is_unreserved(*c) || *c == '/')?);
            rest = &rest[c.len_utf8()..];
        }
    }
    Some(out)
}

/// RFC 3986, section 2.3.
fn is_unreserved(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~".contains(c)
}

fn with_path(uri: &Uri, path: &str) -> Uri {
    let text = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    // The scheme and the authority of HTTP/2 are dropped: nothing reads them, and the name of the host is in no decision.
    PathAndQuery::try_from(text).map_or_else(|_| Uri::from_static(NOWHERE), Uri::from)
}

const NOWHERE: &str = "/";

#[cfg(test)]
mod tests {
    use super::*;

    fn tidied(uri: &str) -> String {
        let request = Request::builder().uri(uri).body(axum::body::Body::empty()).unwrap();
        tidy(request).uri().to_string()
    }

    #[test]
    fn each_path_has_one_form() {
        let table = [
            ("/api/v1/data", "/api/v1/data"),
            ("/api/v1/data/", "/api/v1/data"),
            ("/api/v1/data/?name=/a/", "/api/v1/data?name=/a/"),
            ("/api/v1/%64ata?name=%2Fa", "/api/v1/data?name=%2Fa"),
            ("/api/v1/data/%7Ex", "/api/v1/data/~x"),
            ("/", "/"),
        ];
        for (uri, expected) in table {
            assert_eq!(tidied(uri), expected, "{uri}");
        }
    }

    #[test]
    fn odd_paths_lead_nowhere() {
        let odd = [
            "//api/v1/data",
            "/api//v1/data",
            "/api/v1/data//",
            "/api/v1/./data",
            "/api/v1/x/../data",
            "/api/v1/%2e%2E/data",
            "/api%2Fv1/data",
            "/api/v1/data;x=y",
            "/api/v1/data%00",
            "/api/v1/data%zz",
            "/api/v1/data%+1",
            "/api/v1/data%",
            "/api/v1/d%C3%A4ta",
            "/api/v1/data\\",
        ];
        for uri in odd {
            let uri = uri.replace('\\', "%5C");
            assert_eq!(tidied(&uri), "/", "{uri}");
        }
    }
}
