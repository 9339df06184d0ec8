//! What applying a directive does to the running server. Never does it: the server has one function for that.

/// What applying a directive does, beyond what is read where it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    // On the state.
    LogSecrecy,
    AppendOnlySettings,
    /// In which form the deletion of an expired key is propagated, and that of one that a command has used up.
    DeletionForm,
    SlowThreshold,
    /// Whether requests are counted for their slots.
    SlotStats,
    /// How many entries the command logs keep, and from which sizes on requests and replies are logged.
    CommandLogs,
    LoopRecorder,
    KeyspaceEvents,
    Eviction,
    /// Whether keys expire by themselves.
    ImportMode,
    OutputLimits,
    MemoryLimit,
    ClientMemoryLimit,
    /// Whether writes are refused because saving fails, or because too few replicas are near enough.
    WriteRestrictions,
    /// How much of the stream is kept for replicas that come back.
    Backlog,
    /// From which address connections to other servers are made.
    SourceAddress,
    DefaultPassword,
    // On the process.
    LogLevel,
    LogFormat,
    CrashReports,
    OomScore,
    ProcessTitle,
    // On what the start brings about in its own order.
    ListenPlain,
    ListenForClients,
    ListenTls,
    ListenHttp,
    BindHttp,
    /// Whether the HTTP port may be reached from elsewhere.
    HttpGuard,
    /// What encrypts the HTTP port.
    HttpTls,
    Tls,
    OpenFiles,
    WorkingFolder,
    AppendOnly,
    AppendOnlyHistory,
    CommandLatencies,
    SmallLimitWarning,
    /// The settings of the cluster member, and what it announces to other nodes.
    ClusterMember,
}

/// When an effect comes about, besides at every change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// As soon as there is a state; at a change, before those of other stages. It cannot fail.
    State,
    /// When the process has been set up. Where it fails, the server starts nevertheless.
    Process,
    /// At changes only: at the start it is part of something larger, or there is nothing to do.
    Change,
}

impl Effect {
    /// Whether it changes the process as a whole, and not the server alone.
    pub fn is_of_process(self) -> bool {
        matches!(
            self,
            Effect::LogSecrecy
                | Effect::LogLevel
                | Effect::LogFormat
                | Effect::CrashReports
                | Effect::OomScore
                | Effect::ProcessTitle
                | Effect::WorkingFolder
        )
    }

    /// When it comes about.
    pub fn stage(self) -> Stage {
        match self {
            _ if self <= Effect::DefaultPassword => Stage::State,
            _ if self <= Effect::ProcessTitle => Stage::Process,
            _ => Stage::Change,
        }
    }
}
