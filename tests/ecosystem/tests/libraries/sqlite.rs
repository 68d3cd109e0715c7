//! Claims about sqlx with SQLite, which has a thread for each connection.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Row, SqlitePool};
use waterwheel::runtime::spawn;
use waterwheel::runtime::time::timeout;

use crate::seeds::drop_at_each_await;
use crate::support::runtime::run;

async fn pool(folder: &tempfile::TempDir, connections: u32) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("mills"))
        .create_if_missing(true);
    let pool = SqlitePoolOptions::new()
        .max_connections(connections)
        .connect_with(options);
    let pool = pool.await.unwrap();
    let create = "create table if not exists mills (name text unique, sacks integer not null)";
    sqlx::query(create).execute(&pool).await.unwrap();
    pool
}

async fn insert(pool: &SqlitePool, name: &str, sacks: i64) -> sqlx::Result<()> {
    let query = sqlx::query("insert into mills values (?, ?)");
    query.bind(name).bind(sacks).execute(pool).await.map(drop)
}

#[test]
fn tasks_share_a_pool_and_state_that_is_not_send() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let pool = pool(&folder, 2).await;
        let seen = Rc::new(RefCell::new(Vec::new()));
        let ask = |number: i64| {
            let (pool, seen) = (pool.clone(), seen.clone());
            spawn(async move {
                insert(&pool, &format!("mill {number}"), number)
                    .await
                    .unwrap();
                seen.borrow_mut().push(number);
            })
        };
        let tasks: Vec<_> = (0..20).map(ask).collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(seen.borrow().len(), 20);
        let row = sqlx::query("select count(*), sum(sacks) from mills");
        let row = row.fetch_one(&pool).await.unwrap();
        assert_eq!((row.get::<i64, _>(0), row.get::<i64, _>(1)), (20, 190));
        pool.close().await;
    });
}

#[test]
fn an_error_and_a_transaction_that_is_dropped_change_no_row() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let pool = pool(&folder, 1).await;
        insert(&pool, "north", 1).await.unwrap();
        assert!(insert(&pool, "north", 2).await.is_err());
        let mut transaction = pool.begin().await.unwrap();
        let delete = sqlx::query("delete from mills");
        delete.execute(&mut *transaction).await.unwrap();
        // The only connection is taken, so that a second query waits for it.
        let second = timeout(Duration::from_millis(5), insert(&pool, "south", 3));
        assert!(second.await.is_err());
        drop(transaction);
        let sacks = sqlx::query_scalar::<_, i64>("select sacks from mills");
        assert_eq!(sacks.fetch_all(&pool).await.unwrap(), [1]);
        pool.close().await;
    });
}

#[test]
fn a_transaction_that_is_dropped_at_any_await_is_whole_or_undone() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let pool = pool(&folder, 1).await;
        let move_sack = async || {
            let mut transaction = pool.begin().await.unwrap();
            for change in [
                "sacks - 1 where name = 'north'",
                "sacks + 1 where name = 'south'",
            ] {
                let update = format!("update mills set sacks = {change}");
                let update = sqlx::query(sqlx::AssertSqlSafe(update));
                update.execute(&mut *transaction).await.unwrap();
            }
            transaction.commit().await.unwrap();
        };
        let sum = async || {
            let sum = sqlx::query_scalar::<_, i64>("select sum(sacks) from mills");
            assert_eq!(sum.fetch_one(&pool).await.unwrap(), 100);
        };
        insert(&pool, "north", 100).await.unwrap();
        insert(&pool, "south", 0).await.unwrap();
        drop_at_each_await(move_sack, sum).await;
        pool.close().await;
    });
}
