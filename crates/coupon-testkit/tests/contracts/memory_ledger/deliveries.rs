//! What is parked for outlets.

use std::collections::BTreeSet;

use async_trait::async_trait;
use coupon_domain::ids::SubscriberName;
use coupon_domain::ports::{Clock as _, DeadLetter, DeliveryRepository, Event, LedgerError, Parked, Parking, Progress};
use uuid::Uuid;

use super::{Books, Fault, Letter, MemoryLedger};

impl Books {
    /// What is parked for an outlet, in order.
    fn parked_for(&self, outlet: &SubscriberName) -> Vec<(Parked, &Letter)> {
        let own = self.parked.iter().filter(|((of, _), _)| of == outlet);
        let parked = own.filter_map(|((_, position), letter)| {
            let (_, event) = self.events.iter().find(|(at, _)| at == position)?;
            Some((Parked { position: *position, event: Event::clone(event), attempts: letter.attempts }, letter))
        });
        parked.collect()
    }
}

#[async_trait]
impl DeliveryRepository for MemoryLedger {
    async fn due(&self, outlet: &SubscriberName, limit: u32) -> Result<Vec<Parked>, LedgerError> {
        let (books, now) = (self.books(), self.clock.now());
        let mut keys = BTreeSet::new();
        let firsts = books.parked_for(outlet).into_iter().filter(|(parked, letter)| {
            let waits = letter.retry_at.is_some() || self.does(Fault::WaitsForDeadLetters);
            waits && (keys.insert(parked.event.key()) || self.does(Fault::OvertakesWhatIsParked))
        });
        let due = firsts.filter(|(_, letter)| letter.retry_at.is_some_and(|at| at <= now)).map(|(parked, _)| parked);
        Ok(due.take(limit as usize).collect())
    }

    async fn parked_keys(&self, outlet: &SubscriberName, keys: &[String]) -> Result<Vec<String>, LedgerError> {
        let books = self.books();
        let parked: BTreeSet<_> =
            books.parked.iter().filter(|((of, _), letter)| of == outlet && letter.retry_at.is_some()).collect();
        let parked: BTreeSet<_> = parked.into_iter().map(|(_, letter)| letter.key.clone()).collect();
        Ok(keys.iter().filter(|key| parked.contains(*key)).cloned().collect())
    }

    async fn progress(&self, outlet: &SubscriberName, session: Uuid, progress: &Progress) -> Result<bool, LedgerError> {
        let (mut books, now) = (self.books(), self.clock.now());
        let Some(reader) = books.readers.get_mut(outlet) else { return Ok(false) };
        let leased = reader.session == Some(session) && reader.leased_until.is_some_and(|until| now < until);
        if !leased && !self.does(Fault::ProgressesWithoutLease) {
            return Ok(false);
        }
        // From here on it must succeed.
        reader.subscriber.position = reader.subscriber.position.max(progress.position.unwrap_or(0));
        for position in &progress.taken {
            books.parked.remove(&(outlet.clone(), *position));
        }
        for parking in progress.parked.iter().filter(|one| one.attempts > 0 || !self.does(Fault::LosesWhatWaits)) {
            let Parking { position, key, attempts, retry_in, error } = parking.clone();
            let retry_at = retry_in.map(|span| now.plus(span));
            let letter = Letter { key, attempts, retry_at, error, failed_at: now };
            books.parked.insert((outlet.clone(), position), letter);
        }
        Ok(true)
    }

    async fn dead_letters(
        &self,
        outlet: &SubscriberName,
        after: i64,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, LedgerError> {
        let books = self.books();
        let dead = books.parked_for(outlet).into_iter().filter(|(_, letter)| letter.retry_at.is_none());
        let letters = dead.filter(|(parked, _)| parked.position > after).map(|(parked, letter)| DeadLetter {
            parked,
            error: letter.error.clone(),
            failed_at: letter.failed_at,
        });
        Ok(letters.take(limit as usize).collect())
    }

    async fn revive(&self, outlet: &SubscriberName) -> Result<u64, LedgerError> {
        let (mut books, now) = (self.books(), self.clock.now());
        let dead = books.parked.iter_mut().filter(|((of, _), letter)| of == outlet && letter.retry_at.is_none());
        let revived = dead.map(|(_, letter)| (letter.retry_at, letter.attempts) = (Some(now), 0));
        Ok(revived.count() as u64)
    }

    async fn rewind(&self, outlet: &SubscriberName, position: i64) -> Result<bool, LedgerError> {
        let mut books = self.books();
        let that_far = |reader: &&mut super::Reader| reader.subscriber.position >= position;
        let Some(reader) = books.readers.get_mut(outlet).filter(that_far) else { return Ok(false) };
        reader.subscriber.position = position;
        books.parked.retain(|(of, at), _| of != outlet || *at <= position);
        Ok(true)
    }
}
