//! One campaign in this gate: what it answers to whom.

use coupon_domain::model::{CampaignModel, LoadChunk, LoadError};
use coupon_domain::ports::{Frozen, GateError};
use coupon_domain::position::Position;

/// A campaign that was frozen at least once since this gate started.
pub(super) struct Tenant {
    /// Of the last freeze; as long as it is open, of the model too.
    epoch: u64,
    hold: Hold,
}

/// What there is of it.
enum Hold {
    /// Frozen, nothing is there.
    Empty,
    /// Frozen, partly loaded.
    Partial(CampaignModel),
    /// Frozen, as it was when it was open.
    Whole(CampaignModel),
    /// Answers.
    Open(CampaignModel),
}

impl Tenant {
    /// A campaign that this gate knows nothing of, frozen.
    pub(super) fn frozen(epoch: u64) -> Self {
        Self { epoch, hold: Hold::Empty }
    }

    /// The campaign, for a caller who has seen this position.
    pub(super) fn model_for(&mut self, seen: Position) -> Result<&mut CampaignModel, GateError> {
        let Hold::Open(model) = &mut self.hold else { return Err(GateError::Recovering) };
        let here = model.position();
        if here.epoch > seen.epoch {
            return Err(GateError::Fenced(here.epoch));
        }
        if here < seen {
            return Err(GateError::Stale(here));
        }
        Ok(model)
    }

    /// Stops answering, in favour of the recovery that has this epoch.
    pub(super) fn freeze(&mut self, epoch: u64) -> Result<Frozen, GateError> {
        let own = self.epoch == epoch && !matches!(self.hold, Hold::Open(_));
        if self.epoch >= epoch && !own {
            return Err(GateError::Fenced(self.epoch));
        }
        // From here on it must succeed.
        self.epoch = epoch;
        self.hold = match std::mem::replace(&mut self.hold, Hold::Empty) {
            Hold::Whole(model) | Hold::Open(model) => Hold::Whole(model),
            // Half of a campaign is of no use to anyone.
            Hold::Partial(_) | Hold::Empty => Hold::Empty,
        };
        Ok(match &self.hold {
            Hold::Whole(model) => Frozen::At(model.position(), model.chain()),
            Hold::Empty | Hold::Partial(_) | Hold::Open(_) => Frozen::Empty,
        })
    }

    /// Takes a part, and with the last one opens.
    pub(super) fn load(&mut self, epoch: u64, chunk: LoadChunk) -> Result<(), GateError> {
        if self.epoch != epoch || matches!(self.hold, Hold::Open(_)) {
            return Err(GateError::Fenced(self.epoch));
        }
        if let LoadChunk::Head(head) = &chunk {
            let mut model = CampaignModel::begin(head);
            model.raise_epoch(epoch);
            self.hold = Hold::Partial(model);
            return Ok(());
        }
        let Hold::Partial(model) = &mut self.hold else { return Err(LoadError::NoHead.into()) };
        let last = chunk == LoadChunk::Open;
        model.load(chunk)?;
        if last {
            self.open();
        }
        Ok(())
    }

    /// Answers again, with nothing changed but the epoch.
    pub(super) fn reopen(&mut self, epoch: u64) -> Result<(), GateError> {
        if self.epoch != epoch {
            return Err(GateError::Fenced(self.epoch));
        }
        match &mut self.hold {
            Hold::Empty | Hold::Partial(_) => return Err(GateError::NotLoaded),
            Hold::Whole(model) => model.raise_epoch(epoch),
            Hold::Open(_) => {}
        }
        self.open();
        Ok(())
    }

    fn open(&mut self) {
        self.hold = match std::mem::replace(&mut self.hold, Hold::Empty) {
            Hold::Partial(model) | Hold::Whole(model) | Hold::Open(model) => Hold::Open(model),
            Hold::Empty => Hold::Empty,
        };
    }
}
