//! One reader of the feed.

use std::collections::VecDeque;
use std::sync::Arc;

use coupon_domain::ids::SubscriberName;
use coupon_domain::ports::{Event, EventFilter, FeedRepository};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Ear, Settings, SubscribeCall};
use crate::error::Fault;

/// Tells events in the order of the feed.
pub struct Subscription {
    feed: Arc<dyn FeedRepository>,
    ear: Ear,
    settings: Settings,
    filter: EventFilter,
    /// All events up to here were looked at.
    read_up_to: i64,
    /// None for a reader whose place nobody keeps.
    place: Option<Place>,
}

/// The place that is kept for a named reader.
struct Place {
    name: SubscriberName,
    session: Uuid,
    max_unacknowledged: usize,
    /// Positions told and not acknowledged.
    told: VecDeque<i64>,
    /// When the place was last moved past events that the filter leaves out.
    skipped_at: Option<Instant>,
}

impl Subscription {
    pub(super) async fn begin(
        feed: Arc<dyn FeedRepository>,
        ear: Ear,
        settings: Settings,
        call: SubscribeCall,
    ) -> Result<Self, Fault> {
        if let Some(name) = &call.name {
            super::refuse_outlets(name)?;
            if call.max_unacknowledged == 0 {
                return Err(Fault::field("max_unacknowledged", "must be at least 1"));
            }
        }
        if let Some(after) = call.after {
            super::refuse_beyond_end(feed.as_ref(), "after", after).await?;
        }
        // From here on it must succeed.
        let (read_up_to, place) = match (call.name, call.after) {
            (Some(name), after) => {
                let session = Uuid::new_v4();
                let position = feed.subscribe(&name, session, after).await?;
                let max_unacknowledged = usize::try_from(call.max_unacknowledged).unwrap_or(usize::MAX);
                let place = Place { name, session, max_unacknowledged, told: VecDeque::default(), skipped_at: None };
                (position, Some(place))
            }
            (None, Some(after)) => (after, None),
            (None, None) => (feed.end_of_feed().await?, None),
        };
        Ok(Self { feed, ear, settings, filter: call.filter, read_up_to, place })
    }

    /// The next events with their positions: waits until there is one. A call that is given up loses nothing.
    ///
    /// # Errors
    /// [`Fault::TakenOver`] once another one reads under the name, or the name is forgotten. After [`Fault::Unavailable`] the same call
    /// goes on.
    pub async fn next(&mut self) -> Result<Vec<(i64, Event)>, Fault> {
        let Settings { look, gather, page, .. } = self.settings;
        loop {
            self.ear.prick();
            let limit = self.room().await?.min(page);
            let skipped = if limit > 0 {
                let found = self.feed.events(self.read_up_to, &self.filter, limit).await?;
                let skipped = found.up_to - self.read_up_to;
                self.read_up_to = self.read_up_to.max(found.up_to);
                if !found.events.is_empty() {
                    self.note_told(&found.events);
                    return Ok(found.events);
                }
                skipped
            } else {
                0
            };
            if skipped >= i64::from(page) {
                // Far behind, with nothing to tell as yet.
                continue;
            }
            self.ear.hear(if skipped > 0 { gather } else { look }, gather).await;
        }
    }

    /// How many events may be told now.
    async fn room(&mut self) -> Result<u32, Fault> {
        let Some(place) = &mut self.place else { return Ok(u32::MAX) };
        let position = self.feed.position(&place.name, place.session).await?.ok_or(Fault::TakenOver)?;
        while place.told.front().is_some_and(|told| *told <= position) {
            place.told.pop_front();
        }
        // Somebody may have acknowledged what was never told here; that is done with too.
        self.read_up_to = self.read_up_to.max(position);
        // A reader who is done with all it asked for must not hold events back that it will never ask for.
        let done = place.told.is_empty() && position < self.read_up_to;
        if done && place.skipped_at.is_none_or(|at| at.elapsed() >= self.settings.skip) {
            self.feed.acknowledge_events(&place.name, self.read_up_to).await?;
            place.skipped_at = Some(Instant::now());
        }
        Ok(u32::try_from(place.max_unacknowledged.saturating_sub(place.told.len())).unwrap_or(u32::MAX))
    }

    fn note_told(&mut self, events: &[(i64, Event)]) {
        if let Some(place) = &mut self.place {
            place.told.extend(events.iter().map(|(position, _)| *position));
        }
    }
}
