//! Faults that a handler finds in a request, and their answers.

use waterwheel::http::testing::TestClient;
use waterwheel::http::web::events::last_event_id;
use waterwheel::http::web::input;
use waterwheel::http::web::multipart::MultipartForm;
use waterwheel::http::{ClientError, Method, Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::block_on;

/// Returns a client error for each path but `/fine`, before or within the answer.
async fn fastidious(request: Request<'_>) -> Result<Responded> {
    let fault = ClientError::new(StatusCode::CONFLICT, "it is taken");
    match request.path() {
        "/fine" => request.respond(StatusCode::OK, "fine", ()).await,
        "/begun" => {
            let mut body = request.start(StatusCode::OK, ()).await?;
            body.write("half of ").await?;
            Err(fault.into())
        }
        "/sent" => {
            let mut body = request.start(StatusCode::OK, ()).await?;
            body.write("half of ").await?;
            body.flush().await?;
            Err(fault.into())
        }
        "/answered" => {
            drop(request.respond(StatusCode::OK, "fine", ()).await?);
            Err(fault.into())
        }
        _ => Err(fault.into()),
    }
}

#[test]
fn the_client_receives_the_status_and_the_connection_stays() {
    block_on(async {
        let mut client = TestClient::new(fastidious);
        for _ in 0..2 {
            let told = client.get("/").await;
            assert_eq!(told.status, StatusCode::CONFLICT);
            assert_eq!(told.text(), "it is taken\n");
            assert_eq!(told.headers["content-type"], "text/plain; charset=utf-8");
            assert_eq!(told.headers.get("connection"), None);
            assert_eq!(client.get("/fine").await.text(), "fine");
        }
        let unread = client.post("/", "a body that nobody reads").await;
        assert_eq!(unread.status, StatusCode::CONFLICT);
        let head = client.request(&Method::HEAD, "/", &[], b"").await;
        assert_eq!(
            (head.status, &head.headers["content-length"]),
            (StatusCode::CONFLICT, &"12".parse().unwrap())
        );
        assert_eq!(client.get("/fine").await.text(), "fine");
    });
}

#[test]
fn an_answer_that_has_not_left_is_replaced_by_the_error() {
    block_on(async {
        let mut client = TestClient::new(fastidious);
        assert_eq!(client.get("/begun").await.text(), "it is taken\n");
        assert_eq!(client.get("/fine").await.text(), "fine");
    });
}

#[test]
fn an_answer_that_has_left_in_part_is_cut() {
    block_on(async {
        let mut client = TestClient::new(fastidious);
        client.send("GET /sent HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let all = String::from_utf8(client.read_to_end().await).unwrap();
        assert!(
            all.ends_with("\r\n\r\n8\r\nhalf of \r\n"),
            "no last chunk: {all:?}"
        );
    });
}

#[test]
fn a_finished_answer_is_not_replaced_by_the_error() {
    block_on(async {
        let mut client = TestClient::new(fastidious);
        assert_eq!(client.get("/answered").await.text(), "fine");
    });
}

#[test]
fn a_client_error_is_no_failure_of_the_handler() {
    block_on(async {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let mut client = TestClient::of(&server, fastidious);
        assert_eq!(client.get("/").await.status, StatusCode::CONFLICT);
        assert_eq!(server.numbers().handler_failures, 0);
    });
}

/// Answers with the error of each of these readers.
async fn read(request: Request<'_>) -> Result<Responded> {
    match request.path() {
        "/multipart" => {
            let mut form = MultipartForm::of(&request)?;
            let mut names = String::new();
            while let Some(field) = form.next().await? {
                names += field.name();
            }
            request.respond(StatusCode::OK, names, ()).await
        }
        "/form" => {
            let pairs = input::form_pairs(&request).await?.to_string();
            request.respond(StatusCode::OK, pairs, ()).await
        }
        "/text" => {
            let text = input::text(&request).await?;
            request.respond(StatusCode::OK, text, ()).await
        }
        "/credentials" => {
            let name = input::basic_auth(&request).map(|known| known.name);
            let text = name.unwrap_or_default();
            request.respond(StatusCode::OK, text, ()).await
        }
        _ => {
            let id = last_event_id(&request).unwrap_or_default();
            request.respond(StatusCode::OK, id, ()).await
        }
    }
}

#[track_caller]
fn check_read(path: &str, fields: &[(&str, &str)], body: &str, expected: (u16, &str)) {
    let answer = block_on(async {
        let mut client = TestClient::new(read);
        client
            .request(&Method::POST, path, fields, body.as_bytes())
            .await
    });
    let seen = (answer.status.as_u16(), answer.text());
    assert_eq!(seen, (expected.0, expected.1.to_owned()), "{fields:?}");
}

#[test]
fn a_repeated_content_type_is_refused() {
    // RFC 9110, 5.3: a proxy may choose the other boundary, and so see other parts.
    let form = "--a\r\nContent-Disposition: form-data; name=n\r\n\r\n1\r\n--b\r\nContent-Disposition: form-data; name=m\r\n\r\n2\r\n--b--\r\n\r\n--a--\r\n";
    let one = ("content-type", "multipart/form-data; boundary=a");
    let other = ("Content-Type", "multipart/form-data; boundary=b");
    check_read("/multipart", &[one], form, (200, "n"));
    check_read("/multipart", &[other], form, (200, "m"));
    let refused = (400, "more than one content-type\n");
    check_read("/multipart", &[one, other], form, refused);
    check_read("/multipart", &[one, one], form, refused);
    let one = ("content-type", "application/x-www-form-urlencoded");
    check_read("/form", &[one], "a=1", (200, "a=1"));
    check_read("/form", &[one, ("content-type", "a/b")], "a=1", refused);
    let one = ("content-type", "text/plain; charset=utf-8");
    let other = ("content-type", "text/plain; charset=latin1");
    check_read("/text", &[one], "rye", (200, "rye"));
    check_read("/text", &[one, other], "rye", refused);
}

#[test]
fn a_field_that_may_stand_only_once_is_refused_if_it_is_repeated() {
    let one = ("authorization", "Basic QTpiOmM=");
    check_read("/credentials", &[one], "", (200, "A"));
    check_read("/credentials", &[one, one], "", (200, ""));
    let other = ("authorization", "Bearer x");
    check_read("/credentials", &[one, other], "", (200, ""));
    check_read("/id", &[("last-event-id", "7")], "", (200, "7"));
    let two = [("last-event-id", "7"), ("last-event-id", "8")];
    check_read("/id", &two, "", (200, ""));
}

#[test]
fn a_part_without_data_does_not_swallow_the_next_part() {
    // RFC 2046, 5.1.1: the delimiter may follow the empty line of the head.
    let one = ("content-type", "multipart/form-data; boundary=a");
    let form = "--a\r\nContent-Disposition: form-data; name=n\r\n\r\n--a\r\nContent-Disposition: form-data; name=m\r\n\r\n1\r\n--a--\r\n";
    check_read("/multipart", &[one], form, (200, "nm"));
}
