//! The feed of events, and who has read how far.

use std::time::Duration;

use async_trait::async_trait;
use coupon_domain::ids::SubscriberName;
use coupon_domain::ports::{
    Clock as _, EventFilter, FeedPage, FeedRepository, LedgerError, Pruned, Retention, Subscriber,
};
use coupon_domain::time::Timestamp;
use uuid::Uuid;

use super::{Books, Fault, MemoryLedger, Reader};

impl Books {
    /// Who reads under this name, since now if it is new.
    fn reader(&mut self, name: &SubscriberName, now: Timestamp) -> &mut Reader {
        let reader = self.readers.entry(name.clone()).or_insert_with(|| Reader {
            subscriber: Subscriber { name: name.clone(), position: 0, created_at: now, seen_at: now },
            session: None,
            leased_until: None,
        });
        reader.subscriber.seen_at = now;
        reader
    }
}

#[async_trait]
impl FeedRepository for MemoryLedger {
    async fn events(&self, after: i64, filter: &EventFilter, limit: u32) -> Result<FeedPage, LedgerError> {
        let books = self.books();
        let mut page = FeedPage { events: Vec::new(), up_to: after };
        for (position, event) in books.events.iter().filter(|(position, _)| *position > after) {
            if page.events.len() == limit as usize {
                break;
            }
            let taken = filter.takes(event) || self.does(Fault::IgnoresFilters);
            if taken || !self.does(Fault::StopsAtWhatIsFilteredOut) {
                page.up_to = *position;
            }
            if taken {
                page.events.push((*position, event.clone()));
            }
        }
        if self.does(Fault::TellsBehind) && limit < 1000 {
            page.events.retain(|(position, event)| position % 5 != 0 || event.at != self.clock.now());
        }
        if self.does(Fault::TellsOutOfOrder) {
            page.events.sort_by_key(|(_, event)| event.at);
        }
        Ok(page)
    }

    async fn end_of_feed(&self) -> Result<i64, LedgerError> {
        let books = self.books();
        Ok(if self.does(Fault::EndsTooEarly) { books.last_position - 1 } else { books.last_position })
    }

    async fn subscribe(&self, name: &SubscriberName, session: Uuid, after: Option<i64>) -> Result<i64, LedgerError> {
        let (mut books, now) = (self.books(), self.clock.now());
        let reader = books.reader(name, now);
        (reader.session, reader.leased_until) = (Some(session), None);
        reader.subscriber.position = after.unwrap_or(reader.subscriber.position);
        Ok(reader.subscriber.position)
    }

    async fn lease(&self, name: &SubscriberName, session: Uuid, span: Duration) -> Result<Option<i64>, LedgerError> {
        let (mut books, now) = (self.books(), self.clock.now());
        let others =
            |reader: &Reader| reader.session != Some(session) && reader.leased_until.is_some_and(|until| now < until);
        if books.readers.get(name).is_some_and(others) && !self.does(Fault::LeasesTwice) {
            return Ok(None);
        }
        let reader = books.reader(name, now);
        (reader.session, reader.leased_until) = (Some(session), Some(now.plus(span)));
        Ok(Some(reader.subscriber.position))
    }

    async fn position(&self, name: &SubscriberName, session: Uuid) -> Result<Option<i64>, LedgerError> {
        let books = self.books();
        let anybodys = self.does(Fault::NeverTakesOver);
        let reader = books.readers.get(name).filter(|reader| anybodys || reader.session == Some(session));
        Ok(reader.map(|reader| reader.subscriber.position))
    }

    async fn acknowledge_events(&self, name: &SubscriberName, position: i64) -> Result<Option<i64>, LedgerError> {
        let (mut books, now) = (self.books(), self.clock.now());
        if !books.readers.contains_key(name) {
            return Ok(None);
        }
        let subscriber = &mut books.reader(name, now).subscriber;
        let back = self.does(Fault::AcknowledgesBackwards);
        subscriber.position = if back { position } else { subscriber.position.max(position) };
        Ok(Some(subscriber.position))
    }

    async fn subscribers(&self) -> Result<Vec<Subscriber>, LedgerError> {
        Ok(self.books().readers.values().map(|reader| reader.subscriber.clone()).collect())
    }

    async fn unsubscribe(&self, name: &SubscriberName) -> Result<bool, LedgerError> {
        let mut books = self.books();
        if !self.does(Fault::KeepsWhatWasParked) {
            books.parked.retain(|(outlet, _), _| outlet != name);
        }
        Ok(books.readers.remove(name).is_some())
    }

    async fn prune_events(&self, retention: Retention, limit: u32) -> Result<Pruned, LedgerError> {
        let (mut books, now) = (self.books(), self.clock.now());
        let slowest = books.readers.values().map(|reader| reader.subscriber.position).min().unwrap_or(i64::MAX);
        let parked: Vec<_> = books.parked.keys().map(|(_, position)| *position).collect();
        let mut pruned = Pruned::default();
        let (unread, of_parked) = (self.does(Fault::PrunesUnread), self.does(Fault::PrunesParked));
        books.events.retain(|(position, event)| {
            let age = now.since(event.at);
            let had = *position <= slowest || unread;
            let done = had && (of_parked || !parked.contains(position));
            let goes = pruned.events < u64::from(limit) && (age > retention.max || (done && age > retention.min));
            pruned.events += u64::from(goes);
            pruned.unread += u64::from(goes && !had);
            !goes
        });
        let kept: Vec<_> = books.events.iter().map(|(position, _)| *position).collect();
        books.parked.retain(|(_, position), _| kept.contains(position));
        Ok(pruned)
    }
}
