//! The sessions of connections to other servers. Their certificates have to be issued by an authority that the settings
//! name; whose name is in them does not matter, since servers are known by addresses as often as by names. Genuine
//! servers check the same.

use std::io;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use crate::base::tape::{self, Kind};
use crate::config::Config;

use super::session::TlsSession;
use super::session_cache::AcceptTime;
use super::{ciphers, files};

/// Begins the sessions of connections to other servers.
pub struct Connector {
    /// None of a tape that is replayed.
    real: Option<RealConnector>,
}

struct RealConnector {
    config: Arc<ClientConfig>,
    time: Arc<AcceptTime>,
}

impl Connector {
    /// Reads the files that the settings name.
    ///
    /// Errors: the text to log.
    pub fn new(config: &Config) -> Result<Connector, String> {
        let real = tape::pass_thing(Kind::Process, || RealConnector::new(config))?;
        Ok(Connector { real })
    }

    /// The session of a connection to this host that is about to begin, at that time in s since the epoch.
    ///
    /// Errors: those of rustls.
    pub fn begin(&self, host: &str, now_s: u64) -> io::Result<Box<TlsSession>> {
        let config = self.real.as_ref().map(|real| {
            real.time.set(now_s);
            real.config.clone()
        });
        let name = ServerName::try_from(host.to_string());
        // Nobody looks at it.
        let name = name.unwrap_or(ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into()));
        TlsSession::to_server(config, name)
    }
}

impl RealConnector {
    fn new(config: &Config) -> Result<RealConnector, String> {
        let (file, folder) = (&config.tls_ca_cert_file, &config.tls_ca_cert_dir);
        if file.is_empty() && folder.is_empty() {
            return Err("Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-cluster, \
                        tls-replication or tls-auth-clients are enabled!"
                .to_string());
        }
        let suites = ciphers::allowed(&config.tls_ciphersuites, &config.tls_ciphers)?;
        let versions = ciphers::protocols(&config.tls_protocols)?;
        let provider = Arc::new(CryptoProvider { cipher_suites: suites, ..ring::default_provider() });
        let authorities = Arc::new(files::authorities(file, folder)?);
        let verifier = WebPkiServerVerifier::builder_with_provider(authorities, provider.clone()).build();
        let verifier = verifier.map_err(|error| format!("Failed to configure CA certificate(s): {error}"))?;
        let time = Arc::new(AcceptTime::default());
        let builder = ClientConfig::builder_with_details(provider, time.clone())
            .with_protocol_versions(&versions)
            .map_err(|error| format!("Failed to configure protocols and ciphers: {error}"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(ChainVerifier(verifier)));
        let mut client = match identity_files(config) {
            None => builder.with_no_client_auth(),
            Some((certificate, key, passphrase)) => {
                let chain = files::certificate_chain(certificate)?;
                let key = files::private_key(key, passphrase)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| format!("Failed to load certificate: {certificate}: {error}"))?
            }
        };
        client.enable_sni = false;
        Ok(RealConnector { config: Arc::new(client), time })
    }
}

/// What this server shows of itself to others: what is set for that, or else what it shows to clients.
fn identity_files(config: &Config) -> Option<(&str, &str, &str)> {
    if !config.tls_client_cert_file.is_empty() {
        return Some((&config.tls_client_cert_file, &config.tls_client_key_file, &config.tls_client_key_file_pass));
    }
    let is_set = !config.tls_cert_file.is_empty();
    is_set.then_some((&config.tls_cert_file, &config.tls_key_file, &config.tls_key_file_pass))
}

/// Checks who has issued a certificate, and nothing else.
#[derive(Debug)]
struct ChainVerifier(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for ChainVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is looked at last.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
