//! The demo's vocabulary: names of customers and people, and what providers say when they fail.

use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::domain::failure::ReasonCode;

/// Names of the first customers; the others are composed.
pub const CUSTOMERS: &[&str] = &[
    "Contoso",
    "Fabrikam",
    "Northwind Traders",
    "Halvorsen Marine",
    "Brightwell Clinics",
    "Kestrel Logistics",
    "Oakridge Schools",
    "Alder Energy",
    "Woodgrove Bank",
    "Tailspin Toys",
    "Meridian Foods",
    "Sunde & Vik",
    "Litware",
];

const FIRST: &[&str] = &[
    "Amber", "Birch", "Cedar", "Delta", "Elm", "Falcon", "Granite", "Harbour", "Iron", "Juniper",
    "Linden", "Maple", "North", "Orchard", "Pine", "Quarry", "River", "Stone", "Tern", "Willow",
];

const SECOND: &[&str] = &[
    "Analytics",
    "Dairies",
    "Engineering",
    "Freight",
    "Hotels",
    "Insurance",
    "Labs",
    "Mills",
    "Outdoor",
    "Pharma",
    "Press",
    "Rail",
    "Software",
    "Textiles",
    "Works",
];

/// A tenant's part of its name, after its workspace's.
pub const PLACES: &[&str] =
    &["DE", "FR", "UK", "US", "NL", "SE", "ES", "Labs", "Test", "IT", "PL", "Retail"];

const INITIALS: &[char] = &['a', 'c', 'd', 'e', 'f', 'h', 'j', 'k', 'l', 'm', 'n', 'p', 'r', 's'];

const FAMILIES: &[&str] = &[
    "lang", "diaz", "okafor", "berg", "novak", "rossi", "chen", "haddad", "janssen", "kowalski",
    "moreau", "lind", "osei", "petrov", "silva", "tanaka", "vogel", "weber", "yilmaz", "adler",
    "brandt", "costa", "eriksen", "fischer",
];

/// The name of the customer at `index`.
pub fn customer(index: usize) -> String {
    if let Some(name) = CUSTOMERS.get(index) {
        return (*name).to_owned();
    }
    let n = index - CUSTOMERS.len();
    let first = FIRST[n % FIRST.len()];
    let second = SECOND[(n / FIRST.len() + n % FIRST.len()) % SECOND.len()];
    let round = n / (FIRST.len() * SECOND.len());
    if round == 0 { format!("{first} {second}") } else { format!("{first} {second} {}", round + 1) }
}

/// The name of a tenant: the customer's, and what tells its environments apart.
pub fn tenant(customer: &str, index: usize) -> String {
    let place = PLACES[index % PLACES.len()];
    match index / PLACES.len() {
        0 => format!("{customer} {place}"),
        round => format!("{customer} {place} {}", round + 1),
    }
}

/// A person's short name, `m.lang`.
pub fn person(rng: &mut StdRng) -> String {
    let initial = INITIALS[rng.random_range(0..INITIALS.len())];
    format!("{initial}.{}", FAMILIES[rng.random_range(0..FAMILIES.len())])
}

/// A customer's name as a host name of the domain that never resolves.
pub fn host(customer: &str) -> String {
    let mut host = String::new();
    for c in customer.to_lowercase().chars() {
        if c.is_ascii_alphanumeric() {
            host.push(c);
        } else if !host.ends_with('-') {
            host.push('-');
        }
    }
    format!("{}.example", host.trim_matches('-'))
}

/// What a failure for `reason` says; `{n}` stands for a number, `{a}` for one from 2 to 5. None of it is changed by
/// sanitising, so both ways of seeding store the same, and none of it says how long something took: the run may have
/// been shorter.
fn templates(reason: ReasonCode) -> &'static [&'static str] {
    match reason {
        ReasonCode::ProviderThrottled => &[
            "provider answered 429 Too Many Requests on page {n}; retry-after 120 s",
            "429 after {n} calls within one minute; the limit of the tenant is used up",
            "throttled while reading device configurations, page {n}",
        ],
        ReasonCode::ProviderUnavailable => &[
            "provider answered 503 Service Unavailable after {a} attempts",
            "the provider's directory endpoint closed the connection, attempt {a} of 5",
        ],
        ReasonCode::ProviderAuthExpired => &[
            "consent of the provider connection has expired; the directory answered 401 invalid_grant",
        ],
        ReasonCode::PermissionDenied => &[
            "403 Forbidden: the application lacks DeviceManagementConfiguration.Read.All",
            "403 Forbidden on conditional access policy {n}: Policy.Read.All was not granted",
        ],
        ReasonCode::Timeout => {
            &["no answer in time while reading page {n}", "item {n} was not finished in time"]
        }
        ReasonCode::Conflict => &[
            "policy {n} was changed by another client; version tag does not match",
            "snapshot {n} is being written by another run",
        ],
        ReasonCode::ValidationFailed => &[
            "item {n}: the assignment names a group that does not exist",
            "item {n}: displayName is longer than 256 characters",
        ],
        ReasonCode::DependencyUnavailable => &[
            "object storage did not answer, attempt {a}",
            "the rendering service refused the connection, attempt {a}",
        ],
        ReasonCode::QuotaExceeded => {
            &["storage of the plan is used up: {n} snapshots are kept, no more are allowed"]
        }
        ReasonCode::StaleQueued => &["no worker claimed the run in time"],
        ReasonCode::WorkerLost => &["its workers were lost, and none of them made progress"],
        ReasonCode::StepCrashed => &["the step stopped the worker three times in a row"],
        ReasonCode::TenantGone => &["the tenant was archived before its turn"],
        ReasonCode::PruneBoundExceeded => &["more events are too old than a prune may delete"],
        ReasonCode::Cancelled => &["cancelled before this part was done"],
        ReasonCode::UnexpectedError => {
            &["unexpected answer from the provider: field value is missing in item {n}"]
        }
    }
}

/// A message for `reason`.
pub fn message(reason: ReasonCode, rng: &mut StdRng) -> String {
    let all = templates(reason);
    let text = all[rng.random_range(0..all.len())];
    let n: u32 = rng.random_range(2..40);
    text.replace("{n}", &n.to_string()).replace("{a}", &(n % 4 + 2).to_string())
}

/// Titles of findings, with the severity and a short rule name.
pub const FINDINGS: &[(&str, &str, &str)] = &[
    ("critical", "mfa-admins", "Administrators can sign in without a second factor"),
    ("critical", "legacy-auth", "Legacy authentication is allowed"),
    ("high", "guest-invite", "Guests may invite guests"),
    ("high", "stale-admin", "Privileged account unused for 90 days"),
    ("high", "disk-encryption", "Device policy does not require disk encryption"),
    ("medium", "app-consent", "Users may consent to applications"),
    ("medium", "policy-drift", "Policy differs from its baseline"),
    ("medium", "unassigned-policy", "Compliance policy is assigned to nobody"),
    ("low", "naming", "Group name does not follow the naming rule"),
    ("low", "license-unused", "License assigned to a disabled account"),
];

/// The checkpoints of onboarding, in their order.
pub const CHECKPOINTS: &[&str] =
    &["consent_granted", "provider_verified", "first_sync", "baseline_chosen", "first_review"];

/// A kind of stored report.
pub fn report(rng: &mut StdRng) -> &'static str {
    const REPORTS: &[&str] = &["compliance_summary", "inventory_export", "findings_overview"];
    REPORTS[rng.random_range(0..REPORTS.len())]
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;
    use crate::domain::sanitize;

    #[test]
    fn messages_are_as_sanitising_leaves_them() {
        let mut rng = StdRng::seed_from_u64(1);
        for reason in ReasonCode::ALL {
            for _ in 0..20 {
                let text = message(*reason, &mut rng);
                assert_eq!(sanitize::message(&text), text);
            }
        }
    }

    #[test]
    fn many_customers_have_names_of_their_own() {
        let names: std::collections::BTreeSet<_> = (0..2000).map(customer).collect();
        assert_eq!(names.len(), 2000);
    }
}
