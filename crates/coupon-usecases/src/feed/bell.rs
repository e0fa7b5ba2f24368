//! Tells those who wait for the ledger to change, in this process, that it may have.

use std::time::Duration;

use tokio::sync::watch;

/// Rung whenever this process may have written events or moved a subscriber.
#[derive(Debug, Clone)]
pub struct Bell(watch::Sender<()>);

impl Default for Bell {
    fn default() -> Self {
        Self(watch::Sender::new(()))
    }
}

impl Bell {
    /// Rings.
    pub fn ring(&self) {
        self.0.send_replace(());
    }

    /// Somebody who hears every ring from now on.
    #[must_use]
    pub fn listen(&self) -> Ear {
        Ear(self.0.subscribe())
    }
}

/// Hears a [`Bell`].
#[derive(Debug)]
pub struct Ear(watch::Receiver<()>);

impl Ear {
    /// To be called before a look at the ledger: what was rung until now, that look will see.
    pub fn prick(&mut self) {
        self.0.mark_unchanged();
    }

    /// Waits for a ring since [`Ear::prick`] and then so long for more of them to `gather`, but no longer than `patience` for the first.
    pub async fn hear(&mut self, patience: Duration, gather: Duration) {
        let rung = async {
            // A bell that is gone rings no more.
            if self.0.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        if tokio::time::timeout(patience, rung).await.is_ok() {
            tokio::time::sleep(gather).await;
        }
    }
}
