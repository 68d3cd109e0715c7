use tracing_subscriber::filter::LevelFilter;

/// Prints what the server and the runtime report: on stderr, from `info` up.
pub fn install() {
    let logs = tracing_subscriber::fmt().with_writer(std::io::stderr);
    logs.with_max_level(LevelFilter::INFO).init();
}
