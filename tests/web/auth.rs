//! Basic and bearer authentication: each refusal in its literal head.

use waterwheel::http::testing::TestClient;
use waterwheel::http::web::auth::{self, TokenRefused, is_same_secret};
use waterwheel::http::web::input::Credentials;
use waterwheel::http::{Handler, Request, StatusCode, shared};
use waterwheel::runtime::block_on;

struct User(String);

async fn greet(request: Request<'_>) -> waterwheel::http::Result<waterwheel::http::Responded> {
    let user = request.extensions().get::<User>().unwrap();
    request.respond(StatusCode::OK, &user.0, ()).await
}

/// Sends each list of fields, and compares the status, WWW-Authenticate and the body.
fn check(handler: impl Handler, rows: &[(&str, u16, &str, &str)]) {
    let handler = shared(handler);
    block_on(async {
        for (fields, status, challenge, body) in rows {
            let mut client = TestClient::new(handler.clone());
            client
                .send(format!("GET / HTTP/1.1\r\nhost: x\r\n{fields}\r\n"))
                .await;
            let answer = client.answer().await;
            let seen = answer.headers.get("www-authenticate");
            let seen = seen.map_or("", |field| field.to_str().unwrap());
            assert_eq!(
                (answer.status.as_u16(), seen),
                (*status, *challenge),
                "{fields}"
            );
            assert_eq!(answer.text().trim_end(), *body, "{fields}");
        }
    });
}

#[test]
fn basic_lets_only_known_users_in() {
    let verify = async |who: Credentials| {
        let is_known = who.is("A", "b:c")
            || who.is("\u{e4}\\", "p\u{e4}\u{df}")
            || who.name.starts_with(['A']) && who.name.len() > 1
            || who.password.ends_with('\n');
        Ok(is_known.then_some(User(who.name)))
    };
    let challenge = "Basic realm=\"the \\\"mill\\\"\", charset=\"UTF-8\"";
    let text = "a name and a password are needed";
    let rows = [
        ("authorization: Basic QTpiOmM=\r\n", 200, "", "A"),
        ("authorization: bASIC QTpiOmM=\r\n", 200, "", "A"), // RFC 9110, 11.1
        ("", 401, challenge, text),
        ("authorization: Basic QTpiOmQ=\r\n", 401, challenge, text),
        ("authorization: Basic QQ==\r\n", 401, challenge, text), // no colon
        ("authorization: Bearer QTpiOmM=\r\n", 401, challenge, text),
        ("authorization: Basic QTpiOmM\r\n", 401, challenge, text), // no padding
        ("authorization: Basic Q Tpi\r\n", 401, challenge, text),
        ("authorization: Basic\r\n", 401, challenge, text),
        ("authorization: Basic w6RcOnDDpMOf\r\n", 200, "", "\u{e4}\\"), // a password in UTF-8
        ("authorization: Basic 5Do=\r\n", 401, challenge, text),        // Latin-1
        // RFC 7617, 2: no control characters. Each of these would be `A`, as a log shows it.
        ("authorization: Basic QQA6Yjpj\r\n", 401, challenge, text), // A NUL
        ("authorization: Basic QQo6Yjpj\r\n", 401, challenge, text), // A LF
        ("authorization: Basic QTpiOmMK\r\n", 401, challenge, text), // LF in the password
        (
            "authorization: Basic QcKFOmI6Yw==\r\n",
            401,
            challenge,
            text,
        ), // A NEL
        (
            "authorization: Basic QTpiOmM=\r\nauthorization: Basic QTpiOmM=\r\n",
            401,
            challenge,
            text,
        ),
    ];
    check(auth::basic("the \"mill\"\r\n", verify, greet), &rows);
}

#[test]
fn bearer_tells_the_fault_of_a_token() {
    let verify = async |token: &str| {
        Ok(match token {
            "reader" => Err(TokenRefused::InsufficientScope("write".to_owned())),
            token if is_same_secret(token, "s3cr3t==") => Ok(User("scale".to_owned())),
            _ => Err(TokenRefused::Invalid),
        })
    };
    let invalid_request = "Bearer realm=\"mill\", error=\"invalid_request\"";
    let rows = [
        ("authorization: Bearer s3cr3t==\r\n", 200, "", "scale"),
        ("authorization: bearer s3cr3t==\r\n", 200, "", "scale"),
        // RFC 6750, 3.1: a request without a token has no error code
        ("", 401, "Bearer realm=\"mill\"", "a bearer token is needed"),
        (
            "authorization: Basic QTpiOmM=\r\n",
            401,
            "Bearer realm=\"mill\"",
            "a bearer token is needed",
        ),
        (
            "authorization: Bearer wrong\r\n",
            401,
            "Bearer realm=\"mill\", error=\"invalid_token\"",
            "the token is not valid",
        ),
        (
            "authorization: Bearer reader\r\n",
            403,
            "Bearer realm=\"mill\", error=\"insufficient_scope\", scope=\"write\"",
            "the token is for less",
        ),
        (
            "authorization: Bearer\r\n",
            400,
            invalid_request,
            "malformed bearer token",
        ),
        (
            "authorization: Bearer ==\r\n",
            400,
            invalid_request,
            "malformed bearer token",
        ),
        (
            "authorization: Bearer a b\r\n",
            400,
            invalid_request,
            "malformed bearer token",
        ),
        (
            "authorization: Bearer a\r\nauthorization: Bearer a\r\n",
            400,
            invalid_request,
            "more than one authorization",
        ),
    ];
    check(auth::bearer("mill", verify, greet), &rows);
}
