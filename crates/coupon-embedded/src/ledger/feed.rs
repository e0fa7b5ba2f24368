//! The feed of events, and who has read how far.

use std::time::Duration;

use async_trait::async_trait;
use coupon_domain::ids::SubscriberName;
use coupon_domain::ports::{EventFilter, FeedPage, FeedRepository, LedgerError, Pruned, Retention, Subscriber};
use uuid::Uuid;

use super::{SqliteLedger, events, pruning, subscribers};

#[async_trait]
impl FeedRepository for SqliteLedger {
    async fn events(&self, after: i64, filter: &EventFilter, limit: u32) -> Result<FeedPage, LedgerError> {
        let filter = filter.clone();
        Ok(self.read_at_one_instant(move |conn| events::page(conn, after, &filter, limit)).await?)
    }

    async fn end_of_feed(&self) -> Result<i64, LedgerError> {
        Ok(self.read(|conn| Ok(events::end(conn)?)).await?)
    }

    async fn subscribe(&self, name: &SubscriberName, session: Uuid, after: Option<i64>) -> Result<i64, LedgerError> {
        let name = name.clone();
        Ok(self.write(move |conn, stamp| subscribers::subscribe(conn, &name, session, after, stamp.at)).await?)
    }

    async fn lease(&self, name: &SubscriberName, session: Uuid, span: Duration) -> Result<Option<i64>, LedgerError> {
        let name = name.clone();
        Ok(self.write(move |conn, stamp| subscribers::lease(conn, &name, session, span, stamp.at)).await?)
    }

    async fn position(&self, name: &SubscriberName, session: Uuid) -> Result<Option<i64>, LedgerError> {
        let name = name.clone();
        Ok(self.read(move |conn| subscribers::position(conn, &name, session)).await?)
    }

    async fn acknowledge_events(&self, name: &SubscriberName, position: i64) -> Result<Option<i64>, LedgerError> {
        let name = name.clone();
        Ok(self.write(move |conn, stamp| subscribers::acknowledge(conn, &name, position, stamp.at)).await?)
    }

    async fn subscribers(&self) -> Result<Vec<Subscriber>, LedgerError> {
        Ok(self.read(subscribers::all).await?)
    }

    async fn unsubscribe(&self, name: &SubscriberName) -> Result<bool, LedgerError> {
        let name = name.clone();
        Ok(self.write(move |conn, _| Ok(subscribers::forget(conn, &name)?)).await?)
    }

    async fn prune_events(&self, retention: Retention, limit: u32) -> Result<Pruned, LedgerError> {
        Ok(self.write(move |conn, stamp| pruning::prune(conn, retention, limit, stamp.at)).await?)
    }
}
