//! Certificates and keys in files of a folder of their own.
#![allow(dead_code)] // Each test program uses a part of it.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use pkcs8::pkcs5::pbes2;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

static FOLDERS: AtomicUsize = AtomicUsize::new(0);

/// Who issues certificates. Dropping it removes the folder with all that it issued.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: PathBuf,
    pub der: Vec<u8>,
    pub certificate_file: String,
}

/// A certificate with its key.
pub struct Identity {
    pub der: Vec<u8>,
    pub key_der: Vec<u8>,
    pub certificate_file: String,
    pub key_file: String,
}

fn named(name: &str) -> CertificateParams {
    let hosts = vec!["localhost".to_string(), "127.0.0.1".to_string()];
    let mut params = CertificateParams::new(hosts).expect("names");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl Authority {
    /// One that nobody knows yet.
    pub fn new(name: &str) -> Authority {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let folder =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("certificates-{}-{number}", std::process::id()));
        fs::create_dir_all(folder.join("issued")).expect("a folder for the certificates");
        let mut params = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let path = folder.join("authority.crt");
        fs::write(&path, certificate.pem()).expect("written");
        fs::write(folder.join("notes.txt"), "no certificate").expect("written");
        Authority {
            issuer: Issuer::new(params, key),
            folder,
            der: certificate.der().to_vec(),
            certificate_file: path.to_string_lossy().into_owned(),
        }
    }

    /// The folder in which the authority's own certificate lies.
    pub fn folder(&self) -> String {
        self.folder.to_string_lossy().into_owned()
    }

    /// A certificate for whoever has that name.
    pub fn issue(&self, name: &str) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let certificate = named(name).signed_by(&key, &self.issuer).expect("a certificate");
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join("issued").join(format!("{name}-{number}"));
        let (certificate_file, key_file) = (path.with_extension("crt"), path.with_extension("key"));
        fs::write(&certificate_file, certificate.pem()).expect("written");
        fs::write(&key_file, key.serialize_pem()).expect("written");
        Identity {
            der: certificate.der().to_vec(),
            key_der: key.serialize_der(),
            certificate_file: certificate_file.to_string_lossy().into_owned(),
            key_file: key_file.to_string_lossy().into_owned(),
        }
    }
}

impl Identity {
    /// The options of a server that shows it, and trusts the authority.
    pub fn options(&self, authority: &Authority) -> Vec<String> {
        let files = [
            ("--tls-ca-cert-file", &authority.certificate_file),
            ("--tls-cert-file", &self.certificate_file),
            ("--tls-key-file", &self.key_file),
        ];
        files.into_iter().flat_map(|(name, path)| [name.to_string(), path.clone()]).collect()
    }

    /// Replaces the key's file by one that only opens with a passphrase.
    pub fn encrypt_key(&mut self, passphrase: &str) {
        let parameters =
            pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(2048, b"saltsalt", [7; 16]).expect("parameters");
        let key = pkcs8::PrivateKeyInfoRef::try_from(self.key_der.as_slice()).expect("a key");
        let encrypted = key.encrypt_with_params(parameters, passphrase).expect("it is encrypted");
        let text = encrypted.to_pem("ENCRYPTED PRIVATE KEY", pkcs8::LineEnding::LF).expect("a text");
        fs::write(&self.key_file, text.as_bytes()).expect("written");
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
