//! Directives of the group "TLS": encrypted connections.

use super::super::declare::{boolean, integer, text, word};
use super::super::directive::Directive;
use super::super::effect::Effect;
use super::super::values::{AuthClients, CertificateUser};

/// TLS: encrypted connections.
pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "tls-port",
        "0",
        integer!(tls_port, 0, u16::MAX),
        "Port for TLS connections; 0 turns TLS listening off.",
    )
    .effects(&[Effect::Tls, Effect::ListenTls, Effect::ClusterMember]),
    Directive::new("tls-cert-file", "", text!(tls_cert_file, Unset), "Certificate of the server (PEM).")
        .effects(&[Effect::Tls])
        .file(),
    Directive::new("tls-key-file", "", text!(tls_key_file, Unset), "Private key of the certificate (PEM).")
        .effects(&[Effect::Tls])
        .file(),
    Directive::new(
        "tls-key-file-pass",
        "",
        text!(tls_key_file_pass, Unset),
        "Passphrase of the private key, if it is encrypted (as PKCS #8).",
    )
    .effects(&[Effect::Tls])
    .sensitive(),
    Directive::new(
        "tls-client-cert-file",
        "",
        text!(tls_client_cert_file, Unset),
        "Certificate for outgoing connections. Empty: the server's.",
    ),
    Directive::new(
        "tls-client-key-file",
        "",
        text!(tls_client_key_file, Unset),
        "Private key for outgoing connections. Empty: the server's.",
    ),
    Directive::new(
        "tls-client-key-file-pass",
        "",
        text!(tls_client_key_file_pass, Unset),
        "Passphrase of that key, if it has one.",
    )
    .sensitive(),
    Directive::new(
        "tls-dh-params-file",
        "",
        text!(tls_dh_params_file, Unset),
        "Diffie-Hellman parameters, for old clients only. Here keys are agreed on by elliptic curves \
         alone.",
    )
    .effects(&[Effect::Tls])
    .file()
    .without_effect(),
    Directive::new(
        "tls-ca-cert-file",
        "",
        text!(tls_ca_cert_file, Unset),
        "File of trusted certificates to check peers with.",
    )
    .effects(&[Effect::Tls])
    .file(),
    Directive::new(
        "tls-ca-cert-dir",
        "",
        text!(tls_ca_cert_dir, Unset),
        "Folder of trusted certificates to check peers with.",
    )
    .effects(&[Effect::Tls])
    .file(),
    Directive::new(
        "tls-auth-clients",
        "yes",
        word!(tls_auth_clients, AuthClients),
        "Whether clients must show a certificate: yes, no, or optional (checked if there is \
         one).",
    )
    .effects(&[Effect::Tls, Effect::HttpGuard]),
    Directive::new(
        "tls-auth-clients-user",
        "off",
        word!(tls_auth_clients_user, CertificateUser),
        "Which user a client is by its certificate, without a password: off (none), or CN (the one of \
         that name, if it is on).",
    ),
    Directive::new("tls-replication", "no", boolean!(tls_replication), "Connect to the primary by TLS."),
    Directive::new("tls-cluster", "no", boolean!(tls_cluster), "Use TLS on the cluster bus.")
        .effects(&[Effect::Tls, Effect::ClusterMember]),
    Directive::new(
        "tls-protocols",
        "",
        text!(tls_protocols, Unset),
        "Protocol versions to allow, of \"TLSv1.2 TLSv1.3\". Empty: both. Older ones are refused.",
    )
    .effects(&[Effect::Tls]),
    Directive::new(
        "tls-ciphers",
        "",
        text!(tls_ciphers, Unset),
        "Ciphers to allow in TLS 1.2, by OpenSSL's names, of which those of ECDHE with GCM or ChaCha20 \
         are supported. Empty: all of them.",
    )
    .effects(&[Effect::Tls]),
    Directive::new(
        "tls-ciphersuites",
        "",
        text!(tls_ciphersuites, Unset),
        "Cipher suites to allow in TLS 1.3. Empty: all.",
    )
    .effects(&[Effect::Tls]),
    Directive::new(
        "tls-prefer-server-ciphers",
        "no",
        boolean!(tls_prefer_server_ciphers),
        "Prefer the server's order of ciphers to the client's.",
    )
    .effects(&[Effect::Tls]),
    Directive::new(
        "tls-session-caching",
        "yes",
        boolean!(tls_session_caching),
        "Let clients resume sessions, which saves handshakes.",
    )
    .effects(&[Effect::Tls]),
    Directive::new(
        "tls-session-cache-size",
        "20480",
        integer!(tls_session_cache_size, 0, i32::MAX),
        "Sessions kept for that; 0 sets no limit.",
    )
    .effects(&[Effect::Tls]),
    Directive::new(
        "tls-session-cache-timeout",
        "300",
        integer!(tls_session_cache_timeout, 0, i32::MAX),
        "Seconds that a session is kept.",
    )
    .effects(&[Effect::Tls]),
    Directive::new(
        "tls-auto-reload-interval",
        "0",
        integer!(tls_auto_reload_interval, 0, i32::MAX),
        "Seconds between two checks whether the certificate, key and CA files have changed; if so, new \
         connections use the new ones. Invalid files are logged, and the old ones stay in use. 0 turns the checks \
         off.",
    ),
];
