//! Certificates and keys from PEM files. Errors are texts for the log, and name the file.

use std::fs;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// How the PEM block of an encrypted PKCS #8 key begins.
const ENCRYPTED_KEY: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
/// What OpenSSL's older format says in an encrypted key's headers.
const OLD_ENCRYPTED_KEY: &str = "Proc-Type: 4,ENCRYPTED";

/// The certificates of a file: the server's own first, then those of its issuers.
pub(super) fn certificate_chain(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let failed = |reason: String| format!("Failed to load certificate: {path}: {reason}");
    let chain = read_certificates(Path::new(path)).map_err(failed)?;
    if chain.is_empty() {
        return Err(failed("it holds no certificate".to_string()));
    }
    Ok(chain)
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = fs::read(path).map_err(|error| error.to_string())?;
    CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>().map_err(|error| error.to_string())
}

/// The private key of a file, decrypted with the passphrase if it is encrypted.
pub(super) fn private_key(path: &str, passphrase: &str) -> Result<PrivateKeyDer<'static>, String> {
    let failed = |reason: String| format!("Failed to load private key: {path}: {reason}");
    let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    if let Some(start) = text.find(ENCRYPTED_KEY) {
        return decrypt(&text[start..], passphrase).map_err(failed);
    }
    if text.contains(OLD_ENCRYPTED_KEY) {
        return Err(failed(
            "keys encrypted in OpenSSL's old format are not supported, convert it: openssl pkcs8 -topk8 -v2 aes256"
                .to_string(),
        ));
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| failed(error.to_string()))
}

fn decrypt(text: &str, passphrase: &str) -> Result<PrivateKeyDer<'static>, String> {
    if passphrase.is_empty() {
        return Err("it is encrypted, and tls-key-file-pass is not set".to_string());
    }
    let (_, document) = pkcs8::SecretDocument::from_pem(text).map_err(|error| error.to_string())?;
    let encrypted =
        pkcs8::EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|error| error.to_string())?;
    let plain = encrypted.decrypt(passphrase).map_err(|error| error.to_string())?;
    Ok(PrivatePkcs8KeyDer::from(plain.as_bytes().to_vec()).into())
}

/// The certificate authorities for clients: of a file, of a folder, or of both; an empty name stands for none.
pub(super) fn authorities(file: &str, folder: &str) -> Result<RootCertStore, String> {
    let failed =
        |path: &str, reason: String| format!("Failed to configure CA certificate(s) file/directory: {path}: {reason}");
    let mut store = RootCertStore::empty();
    if !file.is_empty() {
        for certificate in read_certificates(Path::new(file)).map_err(|reason| failed(file, reason))? {
            store.add(certificate).map_err(|error| failed(file, error.to_string()))?;
        }
    }
    if !folder.is_empty() {
        let entries = fs::read_dir(folder).map_err(|error| failed(folder, error.to_string()))?;
        for entry in entries.flatten().filter(|entry| entry.path().is_file()) {
            // The folder may hold other things too, keys for instance.
            if let Ok(certificates) = read_certificates(&entry.path()) {
                store.add_parsable_certificates(certificates);
            }
        }
    }
    if store.is_empty() {
        let path = if file.is_empty() { folder } else { file };
        return Err(failed(path, "no certificate found".to_string()));
    }
    Ok(store)
}
