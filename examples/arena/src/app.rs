//! The endpoints.

use std::collections::HashMap;
use std::fs;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use waterwheel::http::web::compress::compress;
use waterwheel::http::web::files::Files;
use waterwheel::http::web::input;
use waterwheel::http::web::response::{Json, Response};
use waterwheel::http::web::routes::{Router, with};
use waterwheel::http::web::websocket::{self, WebSocket, WebSocketOptions};
use waterwheel::http::{ClientError, Error, Handler, Request, Responded, Result, StatusCode};

use crate::database::Database;
use crate::item::{Change, Item, NewItem, Priced};
use crate::settings::Settings;

/// How long an item stays in the cache.
const FRESH: Duration = Duration::from_millis(200);

/// The most items of an answer.
const ITEMS_MAX: usize = 50;

/// Items as JSON, with the time when each was read. All threads share it, because two requests of a client may reach
/// two threads.
#[derive(Default)]
pub struct Cache(Mutex<HashMap<i32, (Instant, Vec<u8>)>>);

impl Cache {
    fn get(&self, id: i32) -> Option<Vec<u8>> {
        let items = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (read_at, json) = items.get(&id)?;
        (read_at.elapsed() < FRESH).then(|| json.clone())
    }

    fn put(&self, id: i32, json: Vec<u8>) {
        let mut items = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        items.insert(id, (Instant::now(), json));
    }

    fn remove(&self, id: i32) {
        let mut items = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        items.remove(&id);
    }
}

/// The state of the endpoints, for one thread.
pub struct App {
    items: Vec<Item>,
    database: Option<Database>,
    cache: Arc<Cache>,
    files: Files,
}

#[derive(Deserialize)]
struct Sum {
    a: i64,
    b: i64,
}

#[derive(Deserialize)]
struct Factor {
    m: Option<i64>,
}

#[derive(Deserialize)]
struct Prices {
    min: Option<i32>,
    max: Option<i32>,
    limit: Option<i64>,
}

#[derive(Deserialize)]
struct Page {
    category: Option<String>,
    page: Option<i64>,
    limit: Option<i64>,
}

#[derive(Serialize)]
struct Found<T> {
    count: usize,
    items: Vec<T>,
}

#[derive(Serialize)]
struct Listed {
    items: Vec<Item>,
    total: usize,
    page: i64,
    limit: i64,
}

impl<T> From<Vec<T>> for Found<T> {
    fn from(items: Vec<T>) -> Self {
        Self {
            count: items.len(),
            items,
        }
    }
}

/// Returns the limit of a request, within those of the server.
fn limited(limit: Option<i64>, default: i64) -> i64 {
    limit.unwrap_or(default).clamp(1, ITEMS_MAX as i64)
}

/// Returns the sum of the two numbers in the query.
async fn sum_of_query(request: &Request<'_>) -> Result<String, ClientError> {
    let Sum { a, b } = input::query(request)?;
    Ok((a + b).to_string())
}

/// Returns the sum of the two numbers in the query and the one in the body.
async fn sum_with_body(request: &Request<'_>) -> Result<String> {
    let Sum { a, b } = input::query(request)?;
    let text = String::from_utf8(request.bytes().await?).unwrap_or_default();
    let number: i64 = text.trim().parse().map_err(|_| {
        ClientError::new(StatusCode::UNPROCESSABLE_ENTITY, "the body is no integer")
    })?;
    Ok((a + b + number).to_string())
}

/// Returns how many bytes the body has.
async fn upload(request: &Request<'_>) -> Result<String> {
    let mut body = request.body();
    let mut count = 0;
    while let Some(piece) = body.next().await? {
        count += piece.len();
    }
    Ok(count.to_string())
}

/// Sends each message back.
async fn echo(request: Request<'_>) -> Result<Responded> {
    // The harness does not name a page that it comes from.
    let options = WebSocketOptions::new();
    websocket::upgrade(request, &options, async |mut socket: WebSocket| {
        while let Some(message) = socket.next().await? {
            socket.send(message).await?;
        }
        Ok(())
    })
    .await
}

fn not_found() -> Error {
    ClientError::new(StatusCode::NOT_FOUND, "no such item").into()
}

fn no_database() -> Error {
    ClientError::new(StatusCode::SERVICE_UNAVAILABLE, "DATABASE_URL is not set").into()
}

/// Returns an item as an answer that says where it was found.
fn cached(json: Vec<u8>, found: &str) -> Response {
    Response::data("application/json", json).with_header("x-cache", found)
}

impl App {
    /// Reads the data set, and opens the folder of files.
    ///
    /// # Errors
    ///
    /// If a file or the folder cannot be read, or if the address of the database does not parse.
    pub fn new(settings: &Settings, cache: Arc<Cache>) -> Result<Self> {
        let path = settings.data.join("dataset.json");
        let named =
            |error: &dyn std::fmt::Display| Error::message(format!("{}: {error}", path.display()));
        let text = fs::read(&path).map_err(|error| named(&error))?;
        let items = serde_json::from_slice(&text).map_err(|error| named(&error))?;
        let connections = settings.database_connections.get() / settings.threads.get();
        let database = settings.database.as_deref();
        Ok(Self {
            items,
            database: database
                .map(|url| Database::new(url, connections.max(1)))
                .transpose()?,
            cache,
            files: Files::new(settings.data.join("static"))?
                .below("/static")
                .precompressed(),
        })
    }

    async fn json(&self, request: &Request<'_>, count: usize) -> Result<Response> {
        let Factor { m } = input::query(request)?;
        let items = self.items.iter().take(count);
        let items: Vec<Priced<'_>> = items.map(|item| item.priced(m.unwrap_or(1))).collect();
        Response::json(&Found::from(items))
    }

    async fn by_price(&self, request: &Request<'_>) -> Result<Json<Found<Item>>, ClientError> {
        let Prices { min, max, limit } = input::query(request)?;
        let Some(database) = &self.database else {
            return Ok(Json(Vec::new().into()));
        };
        let found = database.by_price(min.unwrap_or(10), max.unwrap_or(50), limited(limit, 50));
        // The contract: no database is an empty answer.
        Ok(Json(found.await.unwrap_or_default().into()))
    }

    fn database(&self) -> Result<&Database> {
        self.database.as_ref().ok_or_else(no_database)
    }

    async fn list(&self, request: &Request<'_>) -> Result<Json<Listed>> {
        let Page {
            category,
            page,
            limit,
        } = input::query(request)?;
        let category = category.as_deref().unwrap_or("electronics");
        let (page, limit) = (page.unwrap_or(1).max(1), limited(limit, 10));
        let offset = (page - 1).saturating_mul(limit);
        let items = self
            .database()?
            .by_category(category, limit, offset)
            .await?;
        let total = items.len();
        Ok(Json(Listed {
            items,
            total,
            page,
            limit,
        }))
    }

    async fn show(&self, _: &Request<'_>, id: i32) -> Result<Response> {
        if let Some(json) = self.cache.get(id) {
            return Ok(cached(json, "HIT"));
        }
        let item = self.database()?.by_id(id).await?.ok_or_else(not_found)?;
        let json = serde_json::to_vec(&item)?;
        self.cache.put(id, json.clone());
        Ok(cached(json, "MISS"))
    }

    async fn add(&self, request: &Request<'_>) -> Result<(StatusCode, Json<Option<Item>>)> {
        let item: NewItem = input::json(request).await?;
        let added = self.database()?.insert(&item).await?;
        self.cache.remove(item.id);
        Ok((StatusCode::CREATED, Json(added)))
    }

    async fn change(&self, request: &Request<'_>, id: i32) -> Result<Json<Item>> {
        let change: Change = input::json(request).await?;
        let changed = self.database()?.update(id, &change).await?;
        self.cache.remove(id);
        changed.map(Json).ok_or_else(not_found)
    }
}

/// Returns the handler of all ports.
pub fn routes(app: &Rc<App>) -> impl Handler {
    let json = Router::new().get("/{count}", with(app, App::json));
    Router::new()
        .get("/baseline11", sum_of_query)
        .post("/baseline11", sum_with_body)
        .get("/baseline2", sum_of_query)
        .get("/pipeline", async || "ok")
        // Brotli has the smallest answers for the client's `gzip, br`.
        .nest("/json", compress(json))
        .post("/upload", upload)
        .get("/static/{*path}", app.files.clone())
        .get("/async-db", with(app, App::by_price))
        .get("/crud/items", with(app, App::list))
        .post("/crud/items", with(app, App::add))
        .get("/crud/items/{id}", with(app, App::show))
        .put("/crud/items/{id}", with(app, App::change))
        .get("/ws", echo)
}
