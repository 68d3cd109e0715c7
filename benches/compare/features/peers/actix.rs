//! actix-web with one worker: `tls`, or `gzip` at its only level, 1.

mod arguments;
mod rustls_config;

use actix_web::http::header::ContentType;
use actix_web::middleware::Compress;
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer};
use arguments::{Arguments, Part};

async fn hello() -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    answer.insert_header(ContentType::plaintext());
    answer.body("Hello, World!")
}

fn json(body: &'static [u8]) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    answer.insert_header(ContentType::json());
    answer.body(Bytes::from_static(body))
}

fn main() -> std::io::Result<()> {
    let arguments = Arguments::read();
    let listener = listener::bind(&*arguments.address)?;
    actix_web::rt::System::new().block_on(async {
        if let Part::Tls = arguments.part {
            let app = || App::new().route("/", web::get().to(hello));
            let server = HttpServer::new(app).workers(1);
            let config = rustls_config::of(&arguments);
            return server.listen_rustls_0_23(listener, config)?.run().await;
        }
        let [small, large] = arguments.bodies();
        let app = move || {
            App::new()
                .wrap(Compress::default())
                .route("/small", web::get().to(move || async { json(small) }))
                .route("/large", web::get().to(move || async { json(large) }))
        };
        HttpServer::new(app)
            .workers(1)
            .listen(listener)?
            .run()
            .await
    })
}
