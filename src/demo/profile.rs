//! What the types of runs are like: who starts them, how much they do, how long they take.

/// What a type of run is like.
pub struct Profile {
    /// Known type.
    pub run_type: &'static str,
    /// Share among the schedule's runs.
    pub scheduled: u32,
    /// Share among people's.
    pub by_people: u32,
    /// Items.
    pub items: (u64, u64),
    /// Usual duration in seconds; a few take many times as long.
    pub seconds: (i64, i64),
}

/// What customers' tenants see; the operation types of maintenance have no profile.
pub const PROFILES: &[Profile] = &[
    Profile {
        run_type: "policy.sync",
        scheduled: 38,
        by_people: 30,
        items: (20, 180),
        seconds: (25, 200),
    },
    Profile {
        run_type: "inventory.sync",
        scheduled: 30,
        by_people: 14,
        items: (80, 1600),
        seconds: (60, 540),
    },
    Profile {
        run_type: "backup.snapshot",
        scheduled: 22,
        by_people: 10,
        items: (30, 320),
        seconds: (40, 420),
    },
    Profile {
        run_type: "provider.connection_check",
        scheduled: 10,
        by_people: 12,
        items: (1, 1),
        seconds: (1, 7),
    },
    Profile {
        run_type: "stored_report.create",
        scheduled: 0,
        by_people: 20,
        items: (1, 12),
        seconds: (4, 50),
    },
    Profile {
        run_type: "review_pack.generate",
        scheduled: 0,
        by_people: 14,
        items: (6, 60),
        seconds: (20, 160),
    },
];
