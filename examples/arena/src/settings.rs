//! The settings: variables of the environment, most of which the harness sets.

use std::env::{self, VarError};
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::thread;

use waterwheel::http::tls::{Identity, TlsConfig};
use waterwheel::http::{Error, Result};

/// The names of the ports, with the variables that set them and the numbers that the harness expects.
const PORTS: [(&str, &str, u16); 4] = [
    ("http", "ARENA_PORT_HTTP", 8080),
    ("https", "ARENA_PORT_HTTPS", 8081),
    ("h2", "ARENA_PORT_H2", 8443),
    ("h2c", "ARENA_PORT_H2C", 8082),
];

#[derive(Clone)]
pub struct Settings {
    address: IpAddr,
    ports: [u16; 4],
    pub threads: NonZeroUsize,
    /// The folder of `dataset.json` and of `static/`.
    pub data: PathBuf,
    certificates: PathBuf,
    pub database: Option<String>,
    /// How many connections the database accepts from all threads together.
    pub database_connections: NonZeroUsize,
}

impl Settings {
    /// Reads the variables.
    ///
    /// # Errors
    ///
    /// If a variable does not parse. The error names it.
    pub fn from_environment() -> Result<Self> {
        let mut ports = [0; 4];
        for (port, (_, name, default)) in ports.iter_mut().zip(PORTS) {
            *port = variable(name)?.unwrap_or(default);
        }
        let threads = match variable("ARENA_THREADS")? {
            Some(threads) => threads,
            None => thread::available_parallelism()?,
        };
        Ok(Self {
            address: variable("ARENA_ADDRESS")?.unwrap_or(IpAddr::from([0; 4])),
            ports,
            threads,
            data: variable("ARENA_DATA")?.unwrap_or("/data".into()),
            certificates: variable("ARENA_CERTIFICATES")?.unwrap_or("/certs".into()),
            database: variable("DATABASE_URL")?,
            database_connections: variable("DATABASE_MAX_CONN")?
                .unwrap_or(const { NonZeroUsize::new(64).unwrap() }),
        })
    }

    /// Returns the name and the address of each port.
    pub fn addresses(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        let names = PORTS.map(|(name, ..)| name);
        let address = self.address;
        let addresses = self.ports.map(|port| SocketAddr::from((address, port)));
        names.into_iter().zip(addresses)
    }

    /// Reads the certificate, for one protocol.
    ///
    /// # Errors
    ///
    /// If the files cannot be read, or are not a certificate and its key.
    pub fn tls(&self, protocol: &str) -> Result<TlsConfig> {
        let [certificate, key] =
            ["server.crt", "server.key"].map(|name| self.certificates.join(name));
        let identity = Identity::from_pem_files(certificate, key)?;
        Ok(TlsConfig::builder()
            .identity(identity)
            .alpn([protocol])
            .build()?)
    }
}

/// Returns the value of a variable, if it is set.
fn variable<T>(name: &str) -> Result<Option<T>>
where
    T: FromStr,
    T::Err: Display,
{
    match env::var(name) {
        Ok(value) => match value.parse() {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(Error::message(format!(
                "the variable {name} is {value:?}: {error}"
            ))),
        },
        Err(VarError::NotPresent) => Ok(None),
        Err(error) => Err(Error::message(format!("the variable {name}: {error}"))),
    }
}
