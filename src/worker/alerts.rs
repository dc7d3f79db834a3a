//! Sends what the outbox holds: claims, posts without any open transaction, records how it
//! ended. At least once: a sender that dies in between leaves the alert to be claimed again
//! when its claim runs out, under the same delivery id.

mod webhook;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::RngExt as _;
use secrecy::SecretString;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use webhook::{DELIVERY_HEADER, EVENT_HEADER, SIGNATURE_HEADER, USER_AGENT};

use crate::access::Actor;
use crate::config::{Config, WebhookUrl};
use crate::ops::Ops;
use crate::ops::alerts::{
    AlertStatus, AreAlertsDue, AttemptEnd, ClaimAlerts, ClaimedAlert, ExplainWaiting, SettleAlert,
};
use crate::{Error, Result};
use webhook::{Answer, OVERTIME, Poster};

/// What waiting alerts say where there is nowhere to send them.
pub const NO_WEBHOOK: &str = "no webhook is configured";

/// What a claim lasts beyond the longest attempt: for recording how that ended.
const MARGIN: Duration = Duration::from_secs(20);
/// The shortest pause after the database did not answer.
const LOST_PAUSE: Duration = Duration::from_millis(500);

/// How alerts are sent.
#[derive(Debug, Clone)]
pub struct AlertSettings {
    /// Where to; none leaves them waiting.
    pub webhook: Option<WebhookUrl>,
    /// What they are signed with.
    pub secret: Option<SecretString>,
    /// How long one attempt may take, from looking up the host to the head of the answer.
    pub timeout: Duration,
    /// After so many attempts an alert is dead.
    pub max_attempts: u32,
    /// How often the outbox is looked at while nothing is due.
    pub poll: Duration,
    /// The longest pause after the first failure; doubled with each further one.
    pub backoff_base: Duration,
    /// The longest pause after any failure.
    pub backoff_cap: Duration,
    /// The longest pause that a receiver can ask for.
    pub retry_after_cap: Duration,
    /// How many attempts may be under way at once.
    pub concurrency: usize,
    /// How long attempts under way are waited for at the end.
    pub grace: Duration,
    /// Whether a proxy that the environment names (`HTTPS_PROXY` and the like) is used.
    pub use_proxy: bool,
}

impl Default for AlertSettings {
    fn default() -> Self {
        Self {
            webhook: None,
            secret: None,
            timeout: Duration::from_secs(10),
            max_attempts: 10,
            poll: Duration::from_secs(5),
            backoff_base: Duration::from_secs(30),
            backoff_cap: Duration::from_hours(1),
            retry_after_cap: Duration::from_hours(1),
            concurrency: 4,
            grace: Duration::from_secs(5),
            use_proxy: true,
        }
    }
}

impl AlertSettings {
    /// The settings that the configuration gives. Reads the secret's file.
    ///
    /// # Errors
    /// As [`Config::webhook_secret`].
    pub fn from_config(config: &Config) -> Result<Self> {
        let webhook = config.alerts_webhook_url.value.clone();
        let secret = if webhook.is_some() { config.webhook_secret()? } else { None };
        Ok(Self {
            webhook,
            secret,
            timeout: config.alerts_timeout.value,
            max_attempts: config.alerts_max_attempts.value,
            ..Self::default()
        })
    }

    /// The longest pause after `attempts` failures; the real one is anywhere below.
    fn ceiling(&self, attempts: i64) -> Duration {
        let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(30);
        self.backoff_base.saturating_mul(1 << doublings).min(self.backoff_cap)
    }

    /// How long to wait after a failure: by chance, so that alerts which failed together do
    /// not come back together, but not before the receiver wants it.
    fn delay(&self, attempts: i64, asked: Option<Duration>) -> Duration {
        let ceiling = u64::try_from(self.ceiling(attempts).as_millis()).unwrap_or(u64::MAX);
        let chance = Duration::from_millis(rand::rng().random_range(0..=ceiling));
        chance.max(asked.unwrap_or_default().min(self.retry_after_cap))
    }
}

/// Sends alerts until it is told to stop. Any number of them may work on one outbox.
#[derive(Clone)]
pub struct AlertSender {
    shared: Arc<Shared>,
}

struct Shared {
    ops: Ops,
    settings: AlertSettings,
    poster: Option<Arc<Poster>>,
    /// The database did not answer when it was last asked.
    lost: AtomicBool,
}

impl AlertSender {
    /// A sender on the outbox of `ops`; nothing happens before [`AlertSender::run`].
    pub fn new(ops: Ops, settings: AlertSettings) -> Self {
        let webhook = settings.webhook.clone();
        let poster = webhook.map(|url| Arc::new(Poster::new(url, &settings)));
        let lost = AtomicBool::new(false);
        Self { shared: Arc::new(Shared { ops, settings, poster, lost }) }
    }

    /// Sends until `stop` holds true or its sender is gone; then attempts under way may end
    /// within the grace time. No outage of the database or the receiver ends it.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        match self.shared.poster.clone() {
            Some(poster) => self.send(poster, &mut stop).await,
            None => self.explain(&mut stop).await,
        }
    }

    /// Without a webhook, alerts wait and say why.
    async fn explain(&self, stop: &mut watch::Receiver<bool>) {
        let settings = &self.shared.settings;
        while !stopped(stop) {
            if self.shared.ask(AreAlertsDue).await == Some(true) {
                let explain = ExplainWaiting { reason: NO_WEBHOOK.to_owned() };
                if let Some(told @ 1..) = self.shared.ask(explain).await {
                    tracing::warn!(alerts = told, "alerts wait: {NO_WEBHOOK}");
                }
            }
            pause(stop, self.shared.idle(settings.poll)).await;
        }
    }

    async fn send(&self, poster: Arc<Poster>, stop: &mut watch::Receiver<bool>) {
        let settings = &self.shared.settings;
        if settings.secret.is_none() {
            tracing::warn!("alerts are sent without a signature: no secret is configured");
        }
        let mut under_way = JoinSet::new();
        while !stopped(stop) {
            while under_way.try_join_next().is_some() {}
            let free = settings.concurrency.max(1).saturating_sub(under_way.len());
            let claimed = self.claim(free).await;
            let full = free == claimed.len();
            for alert in claimed {
                let (shared, poster) = (Arc::clone(&self.shared), Arc::clone(&poster));
                under_way.spawn(async move { shared.deliver(&poster, alert).await });
            }
            // With every slot taken, only an end of one of them makes a look worth while.
            let longest = if full { settings.timeout + OVERTIME } else { settings.poll };
            tokio::select! {
                Some(_) = under_way.join_next() => {}
                () = pause(stop, self.shared.idle(longest)) => {}
            }
        }
        let ended = async { while under_way.join_next().await.is_some() {} };
        if tokio::time::timeout(settings.grace, ended).await.is_err() {
            tracing::info!(
                alerts = under_way.len(),
                "attempts are left unfinished; they are made again later"
            );
        }
    }

    async fn claim(&self, free: usize) -> Vec<ClaimedAlert> {
        if free == 0 || self.shared.ask(AreAlertsDue).await != Some(true) {
            return Vec::new();
        }
        let visibility = self.shared.settings.timeout + OVERTIME + MARGIN;
        let limit = i64::try_from(free).unwrap_or(i64::MAX);
        self.shared.ask(ClaimAlerts { limit, visibility }).await.unwrap_or_default()
    }
}

impl Shared {
    /// Makes one attempt and records how it ended, also after an outage.
    async fn deliver(&self, poster: &Arc<Poster>, alert: ClaimedAlert) {
        let begun = Instant::now();
        let end = match poster.post(&alert, self.ops.clock().now()).await {
            Answer::Taken => AttemptEnd::Delivered,
            Answer::Refused(error, asked) => {
                let delay = self.settings.delay(alert.attempts, asked);
                let max_attempts = i64::from(self.settings.max_attempts.max(1));
                AttemptEnd::Failed { error, delay, max_attempts }
            }
        };
        // Beyond that, somebody else may have claimed it; a success is worth telling even so.
        let claim = self.settings.timeout + OVERTIME + MARGIN;
        loop {
            let settle =
                SettleAlert { id: alert.id, claim_id: alert.claim_id.clone(), end: end.clone() };
            if let Some(status) = self.ask(settle).await {
                report(&alert, &end, status);
                return;
            }
            if end != AttemptEnd::Delivered && begun.elapsed() > claim {
                return;
            }
            tokio::time::sleep(self.idle(LOST_PAUSE)).await;
        }
    }

    /// Asks the database; says once that it is lost, and once that it is back.
    async fn ask<O: crate::ops::Operation>(&self, operation: O) -> Option<O::Output> {
        match self.ops.run(&Actor::System, operation).await {
            Ok(output) => {
                // Only a write shows that what could not be written can be.
                if O::ACCESS == crate::ops::Access::Write
                    && self.lost.swap(false, Ordering::Relaxed)
                {
                    tracing::info!("the outbox of alerts can be reached again");
                }
                Some(output)
            }
            Err(error) => {
                self.lose(&error);
                None
            }
        }
    }

    fn lose(&self, error: &Error) {
        if !self.lost.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "the outbox of alerts cannot be used; trying on");
        }
    }

    /// A pause that does not press on a database which does not answer.
    fn idle(&self, usual: Duration) -> Duration {
        if self.lost.load(Ordering::Relaxed) { usual.max(LOST_PAUSE) } else { usual }
    }
}

fn report(alert: &ClaimedAlert, end: &AttemptEnd, status: Option<AlertStatus>) {
    let (id, attempt) = (alert.id, alert.attempts);
    match (end, status) {
        (AttemptEnd::Delivered, _) => tracing::info!(alert = id, attempt, "an alert was delivered"),
        (AttemptEnd::Failed { error, .. }, Some(AlertStatus::Dead)) => {
            tracing::error!(alert = id, attempt, %error, "an alert is given up");
        }
        (AttemptEnd::Failed { error, .. }, _) => {
            tracing::warn!(alert = id, attempt, %error, "an alert was not delivered");
        }
    }
}

/// Whether it is time to stop; so it is when nobody is left who could say.
fn stopped(stop: &watch::Receiver<bool>) -> bool {
    *stop.borrow() || stop.has_changed().is_err()
}

async fn until_stopped(stop: &mut watch::Receiver<bool>) {
    // An error says that nobody is left: the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn pause(stop: &mut watch::Receiver<bool>, length: Duration) {
    let _ = tokio::time::timeout(length, until_stopped(stop)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_cap_and_respect_what_was_asked_for() {
        let settings = AlertSettings::default();
        let ceilings: Vec<u64> =
            [1, 2, 3, 7, 8, 50, i64::MAX].map(|n| settings.ceiling(n).as_secs()).into();
        assert_eq!(ceilings, [30, 60, 120, 1920, 3600, 3600, 3600]);
        let asked = |seconds| Some(Duration::from_secs(seconds));
        for attempts in 1..12 {
            let delay = settings.delay(attempts, None);
            assert!(delay <= settings.ceiling(attempts), "{delay:?}");
            assert!(settings.delay(1, asked(100)) == Duration::from_secs(100));
            assert!(settings.delay(1, asked(86_400)) == settings.retry_after_cap);
        }
    }
}
