use waterwheel::http::{Error, Request, Responded, Result, StatusCode};
use waterwheel::runtime::spawn_blocking;

/// Asks another service. ureq blocks, so a thread of the pool calls it.
pub async fn fetch(url: String) -> Result<String> {
    let call = move || ureq::get(&url).call()?.body_mut().read_to_string();
    Ok(spawn_blocking(call).await??)
}

pub async fn weather(request: Request<'_>) -> Result<Responded> {
    let url = request
        .query()
        .ok_or_else(|| Error::message("no address"))?;
    let text = fetch(url.to_owned()).await?;
    request.respond(StatusCode::OK, text, ()).await
}
