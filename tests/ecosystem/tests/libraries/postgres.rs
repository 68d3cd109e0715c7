//! Claims about the clients of PostgreSQL, against a real server.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use tokio_postgres::{Client, Config, NoTls};
use waterwheel::runtime::net::{Connected, Stream, TcpStream, UnixStream};
use waterwheel::runtime::time::{sleep, timeout};
use waterwheel::runtime::tokio_io::ToTokio;
use waterwheel::runtime::{JoinHandle, block_on, join, join_all, spawn};
use waterwheel_ecosystem::postgres as snippets;

use crate::seeds::drop_at_each_await;
use crate::support::postgres::Postgres;
use crate::support::runtime::within_deadline;

impl Postgres {
    async fn over_tcp(&self, database: &str) -> (Client, JoinHandle<()>) {
        let stream = TcpStream::connect(self.address()).await.unwrap();
        log_in(stream, database).await
    }

    async fn over_a_unix_socket(&self, database: &str) -> (Client, JoinHandle<()>) {
        let path = self.folder.path().join(format!(".s.PGSQL.{}", self.port));
        log_in(UnixStream::connect(path).await.unwrap(), database).await
    }
}

/// Logs in. Returns the client, and the task of its connection.
async fn log_in<S>(stream: Stream<S>, database: &str) -> (Client, JoinHandle<()>)
where
    S: Connected + Unpin + 'static,
{
    let mut config = Config::new();
    config.user("miller").dbname(database);
    let (client, connection) = config
        .connect_raw(ToTokio::new(stream), NoTls)
        .await
        .unwrap();
    let connection = spawn(async move { connection.await.unwrap() });
    (client, connection)
}

/// Runs a test with a server, within a deadline.
fn with_postgres(test: impl AsyncFnOnce(&Postgres)) {
    within_deadline(|| {
        if let Some(server) = Postgres::start() {
            block_on(test(&server));
        }
    });
}

async fn work(client: Rc<Client>) {
    let create = "create table words (word text primary key, length integer not null)";
    client.batch_execute(create).await.unwrap();
    let insert = client
        .prepare("insert into words values ($1, $2)")
        .await
        .unwrap();
    // The client sends all of these at once, and the answers return in order.
    let insert_all = (0..100).map(|number: i32| {
        let (client, insert) = (client.clone(), insert.clone());
        spawn(async move {
            let word = "x".repeat(usize::try_from(number).unwrap());
            client.execute(&insert, &[&word, &number]).await
        })
    });
    for inserted in join_all(insert_all).await {
        assert_eq!(inserted.unwrap().unwrap(), 1);
    }
    let again = client.execute(&insert, &[&"x", &1]).await.unwrap_err();
    assert_eq!(again.code().unwrap().code(), "23505"); // unique_violation
    let rows = client.query("select length from words", &[]).await.unwrap();
    let lengths: BTreeSet<i32> = rows.iter().map(|row| row.get(0)).collect();
    assert!(lengths.into_iter().eq(0..100));

    // Eight megabytes there and back are more than all buffers between.
    let long = "x".repeat(8 << 20);
    let row = client.query_one("select $1::text", &[&long]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), long);
}

#[test]
fn tokio_postgres_works_over_our_sockets_with_state_that_is_not_send() {
    with_postgres(async |server| {
        for (client, connection) in [
            server.over_tcp("mill").await,
            server.over_a_unix_socket("postgres").await,
        ] {
            work(Rc::new(client)).await;
            // The drop of the client says goodbye, and then the connection ends.
            connection.await.unwrap();
        }
    });
}

#[test]
fn a_query_of_tokio_postgres_can_be_given_up_or_cancelled() {
    with_postgres(async |server| {
        let (client, connection) = server.over_tcp("mill").await;
        let sleep_in_query = client.query("select pg_sleep(0.05)", &[]);
        let given_up = timeout(Duration::from_millis(1), sleep_in_query).await;
        assert!(given_up.is_err());
        let row = client.query_one("select 1 + 1", &[]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), 2); // and not the answer to the first query

        let cancel = async {
            let observer = server.over_tcp("mill").await.0;
            let running = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
            while observer
                .query_one(running, &[])
                .await
                .unwrap()
                .get::<_, i64>(0)
                == 0
            {
                sleep(Duration::from_millis(1)).await;
            }
            let stream = TcpStream::connect(server.address()).await.unwrap();
            let cancel = client.cancel_token();
            cancel
                .cancel_query_raw(ToTokio::new(stream), NoTls)
                .await
                .unwrap();
        };
        let query = client.query("select pg_sleep(3600)", &[]);
        let (cancelled, ()) = join(query, cancel).await;
        assert_eq!(cancelled.unwrap_err().code().unwrap().code(), "57014"); // query_canceled
        drop(client);
        connection.await.unwrap();
    });
}

#[test]
fn a_query_that_is_dropped_at_any_await_leaves_the_connection_whole() {
    with_postgres(async |server| {
        let (client, _connection) = server.over_tcp("mill").await;
        let number = async |number: i32| {
            let row = client.query_one("select $1::integer", &[&number]).await;
            row.unwrap().get::<_, i32>(0)
        };
        let check = async || assert_eq!(number(2).await, 2);
        assert_eq!(drop_at_each_await(async || number(1).await, check).await, 1);
    });
}

#[test]
fn the_snippets_for_postgresql_run() {
    with_postgres(async |server| {
        let (client, _connection) = server.over_tcp("mill").await;
        let create =
            "create table mills (name text); insert into mills values ('north'), ('south')";
        client.batch_execute(create).await.unwrap();
        let mills = snippets::mills(server.address()).await.unwrap();
        assert_eq!(mills, ["north", "south"]);
        let url = format!(
            "postgres://miller@{}/mill?sslmode=disable",
            server.address()
        );
        let mills = snippets::mills_by_sqlx(&url).await.unwrap();
        assert_eq!(mills, ["north", "south"]);
    });
}
