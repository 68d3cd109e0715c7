//! Certificates, keys and lists of revoked certificates from PEM (RFC 7468).
//!
//! A file may have sections of several kinds, such as a certificate and its key. Each function takes the sections of
//! its kind. Its error names the sections that the file has instead.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use crate::tls::error::{TlsConfigError, TlsFault};

/// The text of a PEM file, and its name.
#[derive(Clone, Debug)]
pub(super) struct PemText {
    pub(super) file: Option<PathBuf>,
    bytes: Vec<u8>,
}

/// The label of a section, between the dashes of its first line.
const BEGIN: &str = "-----BEGIN ";

/// Removes all in front of a line that would hide a section from the parser: spaces, and the mark that editors of
/// Windows put before each file. OpenSSL reads such files, too. Converts UTF-16, which PowerShell writes.
fn plain(bytes: &[u8]) -> Vec<u8> {
    let units = |unit: fn([u8; 2]) -> u16| -> Vec<u8> {
        let units: Vec<_> = bytes.as_chunks().0.iter().copied().map(unit).collect();
        String::from_utf16_lossy(&units).into_bytes()
    };
    let converted = match bytes {
        [0xff, 0xfe, ..] => units(u16::from_le_bytes),
        [0xfe, 0xff, ..] => units(u16::from_be_bytes),
        _ => Vec::new(),
    };
    let bytes = if converted.is_empty() {
        bytes
    } else {
        &converted
    };
    let lines = bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r'));
    let starts = lines.map(|mut line| {
        while let Some(rest) = line
            .strip_prefix(b"\xef\xbb\xbf")
            .or(line.strip_prefix(b" "))
            .or(line.strip_prefix(b"\t"))
        {
            line = rest;
        }
        line
    });
    starts.flatten().copied().collect()
}

impl PemText {
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self {
            file: None,
            bytes: plain(bytes),
        }
    }

    pub(super) fn read(path: &Path) -> Result<Self, TlsConfigError> {
        let bytes = fs::read(path).map_err(|error| TlsFault::Read(error).in_file(Some(path)))?;
        Ok(Self {
            file: Some(path.to_owned()),
            bytes: plain(&bytes),
        })
    }

    /// Returns all sections of one kind.
    fn sections<T: PemObject>(&self) -> Result<Vec<T>, TlsConfigError> {
        T::pem_slice_iter(&self.bytes)
            .collect::<Result<_, pem::Error>>()
            .map_err(|error| self.fault(TlsFault::Text(format!("the PEM is broken: {error}"))))
    }

    pub(super) fn fault(&self, cause: TlsFault) -> TlsConfigError {
        cause.in_file(self.file.as_deref())
    }

    fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }

    /// Says what the file has instead of the wanted sections.
    fn lacks(&self, wanted: &str) -> TlsConfigError {
        let text = self.text();
        let mut labels: Vec<_> = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix(BEGIN)?.strip_suffix("-----"))
            .collect();
        labels.dedup();
        let found = if self.bytes.is_empty() {
            "the file is empty".to_owned()
        } else if labels.is_empty() && self.bytes.first() == Some(&0x30) {
            // A SEQUENCE, with which each certificate and each key begins.
            "it is DER and not PEM; convert it by openssl, with -inform DER".to_owned()
        } else if labels.is_empty() {
            "it is not PEM".to_owned()
        } else if labels.contains(&"TRUSTED CERTIFICATE") {
            "it has only: TRUSTED CERTIFICATE; convert it by openssl x509".to_owned()
        } else {
            format!("it has only: {}", labels.join(", "))
        };
        self.fault(TlsFault::Text(format!("no {wanted} in the file: {found}")))
    }

    /// Returns the certificates in their order: the server's own first, then its issuers.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
        let chain = self.sections()?;
        if chain.is_empty() {
            return Err(self.lacks("certificate"));
        }
        Ok(chain)
    }

    /// Returns the first private key.
    pub(super) fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsConfigError> {
        // Looked for first: a file may have the parameters of a curve or a certificate before the key.
        let text = self.text();
        if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----")
            || text.contains("Proc-Type: 4,ENCRYPTED")
        {
            let text = "the private key is encrypted; write it without a password by \
                        openssl pkey -in ENCRYPTED -out PLAIN";
            return Err(self.fault(TlsFault::text(text)));
        }
        let keys = self.sections()?;
        keys.into_iter()
            .next()
            .ok_or_else(|| self.lacks("private key"))
    }

    /// Returns the lists of revoked certificates.
    pub(super) fn revocation_lists(
        &self,
    ) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsConfigError> {
        let lists = self.sections()?;
        if lists.is_empty() {
            return Err(self.lacks("list of revoked certificates (X509 CRL)"));
        }
        Ok(lists)
    }
}
