use std::rc::Rc;
use std::sync::Arc;
use std::sync::Mutex;

use rusqlite::Connection;
use waterwheel::http::{Handler, Request, Result, StatusCode};
use waterwheel::runtime::ThreadPool;

/// One thread owns the database. Queries wait for each other there, and no other task waits for them.
pub fn handler(database: Connection) -> Result<impl Handler> {
    database.execute_batch("create table if not exists visits (path text)")?;
    let database = Arc::new(Mutex::new(database));
    let thread = Rc::new(ThreadPool::new(1));
    Ok(async move |request: Request<'_>| {
        let (database, path) = (database.clone(), request.path().to_owned());
        let count = thread.spawn(move || -> rusqlite::Result<u32> {
            let database = database.lock().expect("no query panics");
            database.execute("insert into visits values (?1)", [&path])?;
            let count = "select count(*) from visits where path = ?1";
            database.query_row(count, [&path], |row| row.get(0))
        });
        let count = count.await??;
        request.respond(StatusCode::OK, count.to_string(), ()).await
    })
}
