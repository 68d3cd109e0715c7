use waterwheel::http::Server;
use waterwheel::http::web::routes::Router;

async fn accept_loop(server: Server, router: Router) -> std::io::Result<()> {
    loop {
        server.accept_request(router).await?;
    }
}

fn main() {
    drop(accept_loop);
}
