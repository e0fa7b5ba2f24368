//! The feed of events, and its readers.

use std::time::Duration;

use async_trait::async_trait;
use coupon_domain::ids::SubscriberName;
use coupon_domain::ports::{EventFilter, FeedPage, FeedRepository, LedgerError, Pruned, Retention, Subscriber};
use uuid::Uuid;

use crate::connection::PostgresLedger;
use crate::subscribers;

#[async_trait]
impl FeedRepository for PostgresLedger {
    async fn events(&self, after: i64, filter: &EventFilter, limit: u32) -> Result<FeedPage, LedgerError> {
        Ok(self.page_of_feed(after, filter, limit).await?)
    }

    async fn end_of_feed(&self) -> Result<i64, LedgerError> {
        Ok(self.settled_position().await?)
    }

    async fn subscribe(&self, name: &SubscriberName, session: Uuid, after: Option<i64>) -> Result<i64, LedgerError> {
        let name = name.clone();
        let position =
            self.run(move |conn| Box::pin(async move { subscribers::subscribe(conn, &name, session, after).await }));
        Ok(position.await?)
    }

    async fn lease(&self, name: &SubscriberName, session: Uuid, span: Duration) -> Result<Option<i64>, LedgerError> {
        let name = name.clone();
        let position =
            self.run(move |conn| Box::pin(async move { subscribers::lease(conn, &name, session, span).await }));
        Ok(position.await?)
    }

    async fn position(&self, name: &SubscriberName, session: Uuid) -> Result<Option<i64>, LedgerError> {
        let name = name.clone();
        let position = self.run(move |conn| Box::pin(async move { subscribers::position(conn, &name, session).await }));
        Ok(position.await?)
    }

    async fn acknowledge_events(&self, name: &SubscriberName, position: i64) -> Result<Option<i64>, LedgerError> {
        let name = name.clone();
        let position =
            self.run(move |conn| Box::pin(async move { subscribers::acknowledge(conn, &name, position).await }));
        Ok(position.await?)
    }

    async fn subscribers(&self) -> Result<Vec<Subscriber>, LedgerError> {
        Ok(self.run(|conn| Box::pin(async move { subscribers::all(conn).await })).await?)
    }

    async fn unsubscribe(&self, name: &SubscriberName) -> Result<bool, LedgerError> {
        let name = name.clone();
        Ok(self.run(move |conn| Box::pin(async move { subscribers::unsubscribe(conn, &name).await })).await?)
    }

    async fn prune_events(&self, retention: Retention, limit: u32) -> Result<Pruned, LedgerError> {
        Ok(self.run(move |conn| Box::pin(async move { subscribers::prune(conn, retention, limit).await })).await?)
    }
}
