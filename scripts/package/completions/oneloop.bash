# Completion of oneloop(1) for bash.
_oneloop_words() {
    COMPREPLY=($(compgen -W "$1" -- "${COMP_WORDS[COMP_CWORD]}"))
}

_oneloop_files() {
    mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
}

# The options of one of the tools, or files.
_oneloop_tool() {
    local options=
    case ${COMP_WORDS[1]}$1 in
        replay--pace) _oneloop_words "fast recorded"; return ;;
    esac
    case ${COMP_WORDS[1]} in
        check-aof) options="--fix --truncate-to-timestamp" ;;
        replay) options="--pace --until --slowest --step --serve --bisect --write-requests --what-if --run --against --user --password --keep-data --show --redact" ;;
    esac
    if [[ ${COMP_WORDS[COMP_CWORD]} == -* ]]; then
        _oneloop_words "$options --help"
    else
        _oneloop_files
    fi
}

_oneloop() {
    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    if [[ $COMP_CWORD -gt 1 && " ping check-config check-rdb check-aof check-backup replay " == *" ${COMP_WORDS[1]} "* ]]; then
        _oneloop_tool "$previous"
        return
    fi
    case $previous in
        --protected-mode) _oneloop_words "yes no"; return ;;
        --daemonize) _oneloop_words "yes no"; return ;;
        --supervised) _oneloop_words "upstart systemd auto no"; return ;;
        --loglevel) _oneloop_words "debug verbose notice warning nothing"; return ;;
        --log-format) _oneloop_words "legacy logfmt json"; return ;;
        --log-timestamp-format) _oneloop_words "legacy iso8601 milliseconds"; return ;;
        --syslog-enabled) _oneloop_words "yes no"; return ;;
        --syslog-facility) _oneloop_words "user local0 local1 local2 local3 local4 local5 local6 local7"; return ;;
        --hide-user-data-from-log) _oneloop_words "yes no"; return ;;
        --always-show-logo) _oneloop_words "yes no"; return ;;
        --set-proc-title) _oneloop_words "yes no"; return ;;
        --extended-redis-compatibility) _oneloop_words "yes no"; return ;;
        --import-mode) _oneloop_words "yes no"; return ;;
        --dynamic-hz) _oneloop_words "yes no"; return ;;
        --crash-log-enabled) _oneloop_words "yes no"; return ;;
        --crash-memcheck-enabled) _oneloop_words "yes no"; return ;;
        --disable-thp) _oneloop_words "yes no"; return ;;
        --io-threads-do-reads) _oneloop_words "yes no"; return ;;
        --oom-score-adj) _oneloop_words "no yes relative absolute"; return ;;
        --acl-pubsub-default) _oneloop_words "allchannels resetchannels"; return ;;
        --enable-protected-configs) _oneloop_words "no yes local"; return ;;
        --enable-debug-command) _oneloop_words "no yes local"; return ;;
        --enable-module-command) _oneloop_words "no yes local"; return ;;
        --maxmemory-policy) _oneloop_words "volatile-lru volatile-lfu volatile-random volatile-ttl allkeys-lru allkeys-lfu allkeys-random noeviction volatile-lrm allkeys-lrm"; return ;;
        --replica-ignore-maxmemory) _oneloop_words "yes no"; return ;;
        --lazyfree-lazy-eviction) _oneloop_words "yes no"; return ;;
        --lazyfree-lazy-expire) _oneloop_words "yes no"; return ;;
        --lazyfree-lazy-server-del) _oneloop_words "yes no"; return ;;
        --lazyfree-lazy-user-del) _oneloop_words "yes no"; return ;;
        --lazyfree-lazy-user-flush) _oneloop_words "yes no"; return ;;
        --activerehashing) _oneloop_words "yes no"; return ;;
        --activedefrag) _oneloop_words "yes no"; return ;;
        --jemalloc-bg-thread) _oneloop_words "yes no"; return ;;
        --slowlog-log-waiting) _oneloop_words "yes no"; return ;;
        --latency-tracking) _oneloop_words "yes no"; return ;;
        --http-tls) _oneloop_words "yes no"; return ;;
        --prefix-ledger) _oneloop_words "yes no"; return ;;
        --training) _oneloop_words "yes no"; return ;;
        --stop-writes-on-bgsave-error) _oneloop_words "yes no"; return ;;
        --rdbcompression) _oneloop_words "yes no"; return ;;
        --rdbchecksum) _oneloop_words "yes no"; return ;;
        --sanitize-dump-payload) _oneloop_words "no yes clients"; return ;;
        --rdb-version-check) _oneloop_words "strict relaxed"; return ;;
        --rdb-del-sync-files) _oneloop_words "yes no"; return ;;
        --rdb-save-incremental-fsync) _oneloop_words "yes no"; return ;;
        --appendonly) _oneloop_words "yes no"; return ;;
        --appendfsync) _oneloop_words "everysec always no"; return ;;
        --no-appendfsync-on-rewrite) _oneloop_words "yes no"; return ;;
        --aof-load-truncated) _oneloop_words "yes no"; return ;;
        --aof-use-rdb-preamble) _oneloop_words "yes no"; return ;;
        --aof-timestamp-enabled) _oneloop_words "yes no"; return ;;
        --aof-rewrite-incremental-fsync) _oneloop_words "yes no"; return ;;
        --replica-serve-stale-data) _oneloop_words "yes no"; return ;;
        --replica-read-only) _oneloop_words "yes no"; return ;;
        --repl-diskless-sync) _oneloop_words "yes no"; return ;;
        --repl-diskless-load) _oneloop_words "disabled on-empty-db swapdb"; return ;;
        --repl-disable-tcp-nodelay) _oneloop_words "yes no"; return ;;
        --replica-announced) _oneloop_words "yes no"; return ;;
        --replica-ignore-disk-write-errors) _oneloop_words "yes no"; return ;;
        --replica-lazy-flush) _oneloop_words "yes no"; return ;;
        --propagation-error-behavior) _oneloop_words "ignore panic panic-on-replicas"; return ;;
        --cluster-enabled) _oneloop_words "yes no"; return ;;
        --cluster-allow-replica-migration) _oneloop_words "yes no"; return ;;
        --cluster-require-full-coverage) _oneloop_words "yes no"; return ;;
        --cluster-replica-no-failover) _oneloop_words "yes no"; return ;;
        --cluster-allow-reads-when-down) _oneloop_words "yes no"; return ;;
        --cluster-allow-pubsubshard-when-down) _oneloop_words "yes no"; return ;;
        --cluster-slot-stats-enabled) _oneloop_words "yes no"; return ;;
        --cluster-preferred-endpoint-type) _oneloop_words "ip hostname unknown-endpoint"; return ;;
        --tls-auth-clients) _oneloop_words "no yes optional"; return ;;
        --tls-auth-clients-user) _oneloop_words "off CN"; return ;;
        --tls-replication) _oneloop_words "yes no"; return ;;
        --tls-cluster) _oneloop_words "yes no"; return ;;
        --tls-prefer-server-ciphers) _oneloop_words "yes no"; return ;;
        --tls-session-caching) _oneloop_words "yes no"; return ;;
    esac
    if [[ $word == -* ]]; then
        _oneloop_words "--help --version --record --bind --bind-source-addr --port --tcp-backlog --tcp-keepalive --timeout --protected-mode --unixsocket --unixsocketperm --socket-mark-id --maxclients --max-new-connections-per-cycle --max-new-tls-connections-per-cycle --availability-zone --daemonize --supervised --pidfile --loglevel --logfile --log-format --log-timestamp-format --syslog-enabled --syslog-ident --syslog-facility --hide-user-data-from-log --databases --always-show-logo --set-proc-title --proc-title-template --locale-collate --extended-redis-compatibility --import-mode --hz --dynamic-hz --loop-spin-us --crash-log-enabled --crash-memcheck-enabled --ignore-warnings --disable-thp --io-threads --io-threads-do-reads --server_cpulist --bio_cpulist --aof_rewrite_cpulist --bgsave_cpulist --oom-score-adj --oom-score-adj-values --shutdown-on-sigint --shutdown-on-sigterm --shutdown-timeout --aclfile --acllog-max-len --acl-pubsub-default --requirepass --enable-protected-configs --enable-debug-command --enable-module-command --maxmemory --maxmemory-policy --maxmemory-samples --maxmemory-eviction-tenacity --maxmemory-clients --replica-ignore-maxmemory --active-expire-effort --lfu-log-factor --lfu-decay-time --lazyfree-lazy-eviction --lazyfree-lazy-expire --lazyfree-lazy-server-del --lazyfree-lazy-user-del --lazyfree-lazy-user-flush --activerehashing --activedefrag --active-defrag-ignore-bytes --active-defrag-threshold-lower --active-defrag-threshold-upper --active-defrag-cycle-min --active-defrag-cycle-max --active-defrag-max-scan-fields --jemalloc-bg-thread --client-query-buffer-limit --client-output-buffer-limit --proto-max-bulk-len --tracking-table-max-keys --busy-reply-threshold --notify-keyspace-events --slowlog-log-slower-than --slowlog-max-len --commandlog-request-larger-than --commandlog-large-request-max-len --commandlog-reply-larger-than --commandlog-large-reply-max-len --slowlog-log-waiting --loop-recorder-size --latency-monitor-threshold --latency-tracking --latency-tracking-info-percentiles --http-port --http-bind --http-tls --http-token --prefix-ledger --training --hash-max-listpack-entries --hash-max-listpack-value --list-max-listpack-size --list-compress-depth --set-max-intset-entries --set-max-listpack-entries --set-max-listpack-value --zset-max-listpack-entries --zset-max-listpack-value --hll-sparse-max-bytes --stream-node-max-bytes --stream-node-max-entries --stream-idmp-duration --stream-idmp-maxsize --save --stop-writes-on-bgsave-error --rdbcompression --rdbchecksum --sanitize-dump-payload --rdb-version-check --dbfilename --rdb-del-sync-files --dir --rdb-save-incremental-fsync --snapshot-loop-share --appendonly --appendfilename --appenddirname --appendfsync --no-appendfsync-on-rewrite --auto-aof-rewrite-percentage --auto-aof-rewrite-min-size --aof-load-truncated --aof-use-rdb-preamble --aof-timestamp-enabled --aof-rewrite-incremental-fsync --replicaof --masterauth --masteruser --replica-serve-stale-data --replica-read-only --repl-diskless-sync --repl-diskless-sync-delay --repl-diskless-sync-max-replicas --repl-diskless-load --repl-ping-replica-period --repl-timeout --repl-disable-tcp-nodelay --repl-backlog-size --repl-backlog-ttl --repl-log-disk-size --replica-priority --replica-announced --replica-announce-ip --replica-announce-port --replica-ignore-disk-write-errors --replica-lazy-flush --min-replicas-to-write --min-replicas-max-lag --propagation-error-behavior --cluster-enabled --cluster-config-file --cluster-node-timeout --cluster-port --cluster-replica-validity-factor --cluster-migration-barrier --cluster-allow-replica-migration --cluster-require-full-coverage --cluster-replica-no-failover --cluster-manual-failover-timeout --cluster-blacklist-ttl --cluster-allow-reads-when-down --cluster-allow-pubsubshard-when-down --cluster-link-sendbuf-limit --cluster-slot-migration-log-max-len --cluster-slot-stats-enabled --slot-migration-max-failover-repl-bytes --cluster-announce-hostname --cluster-announce-human-nodename --cluster-preferred-endpoint-type --cluster-announce-ip --cluster-announce-port --cluster-announce-tls-port --cluster-announce-bus-port --tls-port --tls-cert-file --tls-key-file --tls-key-file-pass --tls-client-cert-file --tls-client-key-file --tls-client-key-file-pass --tls-dh-params-file --tls-ca-cert-file --tls-ca-cert-dir --tls-auth-clients --tls-auth-clients-user --tls-replication --tls-cluster --tls-protocols --tls-ciphers --tls-ciphersuites --tls-prefer-server-ciphers --tls-session-caching --tls-session-cache-size --tls-session-cache-timeout --tls-auto-reload-interval"
    elif [[ $COMP_CWORD -eq 1 ]]; then
        _oneloop_files
        COMPREPLY+=($(compgen -W "ping check-config check-rdb check-aof check-backup replay" -- "$word"))
    else
        _oneloop_files
    fi
}
complete -o filenames -F _oneloop oneloop
