//! The table of items in PostgreSQL.
//!
//! # How it works
//!
//! tokio-postgres sends the queries of many tasks over one connection without waiting for answers. A thread has a few
//! connections, and takes them in turn. A connection that fails is made anew by its next query.

use std::cell::Cell;
use std::rc::Rc;

use tokio_postgres::config::Host;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Row, Statement};
use waterwheel::http::{Error, Result};
use waterwheel::runtime::net::TcpStream;
use waterwheel::runtime::spawn;
use waterwheel::runtime::sync::Mutex;
use waterwheel::runtime::tokio_io::ToTokio;

use crate::item::{Change, Item, NewItem};

macro_rules! columns {
    () => {
        "id, name, category, price, quantity, active, tags, rating_score, rating_count"
    };
}

const BY_PRICE: &str = concat!(
    "select ",
    columns!(),
    " from items where price between $1 and $2 limit $3"
);
const BY_CATEGORY: &str = concat!(
    "select ",
    columns!(),
    " from items where category = $1 order by id limit $2 offset $3"
);
const BY_ID: &str = concat!("select ", columns!(), " from items where id = $1");
const INSERT: &str = concat!(
    "insert into items (",
    columns!(),
    ") values ($1, $2, $3, $4, $5, true, '[]', 0, 0) on conflict (id) do update set name = excluded.name, ",
    "category = excluded.category, price = excluded.price, quantity = excluded.quantity returning ",
    columns!()
);
const UPDATE: &str = concat!(
    "update items set name = $2, category = coalesce($3, category), price = $4, quantity = $5 where id = $1 returning ",
    columns!()
);

/// The category of an item that a client adds without one.
const CATEGORY: &str = "uncategorized";

/// A connection with its prepared statements.
struct Session {
    client: Client,
    by_price: Statement,
    by_category: Statement,
    by_id: Statement,
    insert: Statement,
    update: Statement,
}

pub struct Database {
    config: Config,
    sessions: Vec<Mutex<Option<Rc<Session>>>>,
    next: Cell<usize>,
}

impl Database {
    /// Connects with the first query, so a database that comes later is found.
    ///
    /// # Errors
    ///
    /// If `url` is not that of a database with a host.
    pub fn new(url: &str, connections: usize) -> Result<Self> {
        Ok(Self {
            config: url.parse()?,
            sessions: (0..connections).map(|_| Mutex::new(None)).collect(),
            next: Cell::new(0),
        })
    }

    async fn connect(&self) -> Result<Session> {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(name)) => name.as_str(),
            _ => "localhost",
        };
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        let stream = TcpStream::connect((host, port)).await?;
        let (client, connection) = self.config.connect_raw(ToTokio::new(stream), NoTls).await?;
        // An error of the connection is that of each query under way.
        spawn(async move { drop(connection.await) }).detach();
        Ok(Session {
            by_price: client.prepare(BY_PRICE).await?,
            by_category: client.prepare(BY_CATEGORY).await?,
            by_id: client.prepare(BY_ID).await?,
            insert: client.prepare(INSERT).await?,
            update: client.prepare(UPDATE).await?,
            client,
        })
    }

    /// Returns the next connection.
    async fn session(&self) -> Result<Rc<Session>> {
        let next = self.next.get();
        self.next.set((next + 1) % self.sessions.len());
        let mut session = self.sessions[next].lock().await;
        match &*session {
            Some(session) if !session.client.is_closed() => Ok(session.clone()),
            _ => {
                let made = Rc::new(self.connect().await?);
                *session = Some(made.clone());
                Ok(made)
            }
        }
    }

    async fn items(
        &self,
        statement: impl FnOnce(&Session) -> &Statement,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Item>> {
        let session = self.session().await?;
        let rows: Vec<Row> = session
            .client
            .query(statement(&session), parameters)
            .await?;
        let items = rows.iter().map(Item::from_row);
        items.collect::<Result<_, _>>().map_err(Error::from)
    }

    pub async fn by_price(&self, min: i32, max: i32, limit: i64) -> Result<Vec<Item>> {
        self.items(|session| &session.by_price, &[&min, &max, &limit])
            .await
    }

    pub async fn by_category(&self, category: &str, limit: i64, offset: i64) -> Result<Vec<Item>> {
        self.items(
            |session| &session.by_category,
            &[&category, &limit, &offset],
        )
        .await
    }

    pub async fn by_id(&self, id: i32) -> Result<Option<Item>> {
        Ok(self.items(|session| &session.by_id, &[&id]).await?.pop())
    }

    /// Adds an item, or replaces the one with its id.
    pub async fn insert(&self, item: &NewItem) -> Result<Option<Item>> {
        let Change {
            name,
            category,
            price,
            quantity,
        } = &item.change;
        let category = category.as_deref().unwrap_or(CATEGORY);
        let parameters: [&(dyn ToSql + Sync); 5] = [&item.id, name, &category, price, quantity];
        Ok(self
            .items(|session| &session.insert, &parameters)
            .await?
            .pop())
    }

    /// Returns `None` if there is no such item.
    pub async fn update(&self, id: i32, change: &Change) -> Result<Option<Item>> {
        let Change {
            name,
            category,
            price,
            quantity,
        } = change;
        let parameters: [&(dyn ToSql + Sync); 5] = [&id, name, category, price, quantity];
        Ok(self
            .items(|session| &session.update, &parameters)
            .await?
            .pop())
    }
}
