# Completion of oneloop(1) for bash.
_oneloop() {
    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    case $previous in
        --protected-mode) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --daemonize) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --supervised) COMPREPLY=($(compgen -W "upstart systemd auto no" -- "$word")); return ;;
        --loglevel) COMPREPLY=($(compgen -W "debug verbose notice warning nothing" -- "$word")); return ;;
        --syslog-enabled) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --syslog-facility) COMPREPLY=($(compgen -W "user local0 local1 local2 local3 local4 local5 local6 local7" -- "$word")); return ;;
        --hide-user-data-from-log) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --always-show-logo) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --set-proc-title) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --dynamic-hz) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --crash-log-enabled) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --crash-memcheck-enabled) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --disable-thp) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --io-threads-do-reads) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --oom-score-adj) COMPREPLY=($(compgen -W "no yes relative absolute" -- "$word")); return ;;
        --acl-pubsub-default) COMPREPLY=($(compgen -W "allchannels resetchannels" -- "$word")); return ;;
        --enable-protected-configs) COMPREPLY=($(compgen -W "no yes local" -- "$word")); return ;;
        --enable-debug-command) COMPREPLY=($(compgen -W "no yes local" -- "$word")); return ;;
        --enable-module-command) COMPREPLY=($(compgen -W "no yes local" -- "$word")); return ;;
        --maxmemory-policy) COMPREPLY=($(compgen -W "volatile-lru volatile-lfu volatile-random volatile-ttl allkeys-lru allkeys-lfu allkeys-random noeviction" -- "$word")); return ;;
        --replica-ignore-maxmemory) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --lazyfree-lazy-eviction) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --lazyfree-lazy-expire) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --lazyfree-lazy-server-del) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --lazyfree-lazy-user-del) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --lazyfree-lazy-user-flush) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --activerehashing) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --activedefrag) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --jemalloc-bg-thread) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --slowlog-log-waiting) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --latency-tracking) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --http-tls) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --training) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --stop-writes-on-bgsave-error) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --rdbcompression) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --rdbchecksum) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --sanitize-dump-payload) COMPREPLY=($(compgen -W "no yes clients" -- "$word")); return ;;
        --rdb-del-sync-files) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --rdb-save-incremental-fsync) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --appendonly) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --appendfsync) COMPREPLY=($(compgen -W "everysec always no" -- "$word")); return ;;
        --no-appendfsync-on-rewrite) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --aof-load-truncated) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --aof-use-rdb-preamble) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --aof-timestamp-enabled) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --aof-rewrite-incremental-fsync) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --replica-serve-stale-data) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --replica-read-only) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --repl-diskless-sync) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --repl-diskless-load) COMPREPLY=($(compgen -W "disabled on-empty-db swapdb" -- "$word")); return ;;
        --repl-disable-tcp-nodelay) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --replica-announced) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --replica-ignore-disk-write-errors) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --replica-lazy-flush) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --propagation-error-behavior) COMPREPLY=($(compgen -W "ignore panic panic-on-replicas" -- "$word")); return ;;
        --cluster-enabled) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --cluster-allow-replica-migration) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --cluster-require-full-coverage) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --cluster-replica-no-failover) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --cluster-allow-reads-when-down) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --cluster-allow-pubsubshard-when-down) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --cluster-preferred-endpoint-type) COMPREPLY=($(compgen -W "ip hostname unknown-endpoint" -- "$word")); return ;;
        --tls-auth-clients) COMPREPLY=($(compgen -W "no yes optional" -- "$word")); return ;;
        --tls-auth-clients-user) COMPREPLY=($(compgen -W "off CN" -- "$word")); return ;;
        --tls-replication) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --tls-cluster) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --tls-prefer-server-ciphers) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
        --tls-session-caching) COMPREPLY=($(compgen -W "yes no" -- "$word")); return ;;
    esac
    if [[ $word == -* ]]; then
        COMPREPLY=($(compgen -W "--help --version --record --bind --bind-source-addr --port --tcp-backlog --tcp-keepalive --timeout --protected-mode --unixsocket --unixsocketperm --socket-mark-id --socket-busy-poll-us --maxclients --daemonize --supervised --pidfile --loglevel --logfile --syslog-enabled --syslog-ident --syslog-facility --hide-user-data-from-log --databases --always-show-logo --set-proc-title --proc-title-template --locale-collate --hz --dynamic-hz --loop-spin-us --crash-log-enabled --crash-memcheck-enabled --ignore-warnings --disable-thp --io-threads --io-threads-do-reads --server_cpulist --bio_cpulist --aof_rewrite_cpulist --bgsave_cpulist --oom-score-adj --oom-score-adj-values --shutdown-on-sigint --shutdown-on-sigterm --shutdown-timeout --aclfile --acllog-max-len --acl-pubsub-default --requirepass --enable-protected-configs --enable-debug-command --enable-module-command --maxmemory --maxmemory-policy --maxmemory-samples --maxmemory-eviction-tenacity --maxmemory-clients --replica-ignore-maxmemory --active-expire-effort --lfu-log-factor --lfu-decay-time --lazyfree-lazy-eviction --lazyfree-lazy-expire --lazyfree-lazy-server-del --lazyfree-lazy-user-del --lazyfree-lazy-user-flush --activerehashing --activedefrag --active-defrag-ignore-bytes --active-defrag-threshold-lower --active-defrag-threshold-upper --active-defrag-cycle-min --active-defrag-cycle-max --active-defrag-max-scan-fields --jemalloc-bg-thread --client-query-buffer-limit --client-output-buffer-limit --proto-max-bulk-len --tracking-table-max-keys --busy-reply-threshold --notify-keyspace-events --slowlog-log-slower-than --slowlog-max-len --slowlog-log-waiting --loop-recorder-size --latency-monitor-threshold --latency-tracking --latency-tracking-info-percentiles --http-port --http-bind --http-tls --http-token --training --hash-max-listpack-entries --hash-max-listpack-value --list-max-listpack-size --list-compress-depth --set-max-intset-entries --set-max-listpack-entries --set-max-listpack-value --zset-max-listpack-entries --zset-max-listpack-value --hll-sparse-max-bytes --stream-node-max-bytes --stream-node-max-entries --save --stop-writes-on-bgsave-error --rdbcompression --rdbchecksum --sanitize-dump-payload --dbfilename --rdb-del-sync-files --dir --rdb-save-incremental-fsync --snapshot-loop-share --appendonly --appendfilename --appenddirname --appendfsync --no-appendfsync-on-rewrite --auto-aof-rewrite-percentage --auto-aof-rewrite-min-size --aof-load-truncated --aof-use-rdb-preamble --aof-timestamp-enabled --aof-rewrite-incremental-fsync --replicaof --masterauth --masteruser --replica-serve-stale-data --replica-read-only --repl-diskless-sync --repl-diskless-sync-delay --repl-diskless-sync-max-replicas --repl-diskless-load --repl-ping-replica-period --repl-timeout --repl-disable-tcp-nodelay --repl-backlog-size --repl-backlog-ttl --repl-log-disk-size --replica-priority --replica-announced --replica-announce-ip --replica-announce-port --replica-ignore-disk-write-errors --replica-lazy-flush --min-replicas-to-write --min-replicas-max-lag --propagation-error-behavior --cluster-enabled --cluster-config-file --cluster-node-timeout --cluster-port --cluster-replica-validity-factor --cluster-migration-barrier --cluster-allow-replica-migration --cluster-require-full-coverage --cluster-replica-no-failover --cluster-allow-reads-when-down --cluster-allow-pubsubshard-when-down --cluster-link-sendbuf-limit --cluster-slot-migration-log-max-len --slot-migration-max-failover-repl-bytes --cluster-announce-hostname --cluster-announce-human-nodename --cluster-preferred-endpoint-type --cluster-announce-ip --cluster-announce-port --cluster-announce-tls-port --cluster-announce-bus-port --tls-port --tls-cert-file --tls-key-file --tls-key-file-pass --tls-client-cert-file --tls-client-key-file --tls-client-key-file-pass --tls-dh-params-file --tls-ca-cert-file --tls-ca-cert-dir --tls-auth-clients --tls-auth-clients-user --tls-replication --tls-cluster --tls-protocols --tls-ciphers --tls-ciphersuites --tls-prefer-server-ciphers --tls-session-caching --tls-session-cache-size --tls-session-cache-timeout" -- "$word"))
    elif [[ $COMP_CWORD -eq 1 ]]; then
        COMPREPLY=($(compgen -W "ping check-config check-rdb check-aof replay" -- "$word") $(compgen -f -- "$word"))
    else
        COMPREPLY=($(compgen -f -- "$word"))
    fi
}
complete -o filenames -F _oneloop oneloop
