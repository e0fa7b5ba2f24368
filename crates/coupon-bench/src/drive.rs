//! The loops that send requests and count answers. They run on one thread, so that counting needs no lock.

mod closed;
mod due;
mod log;
mod numbers;
mod open;
mod stream;
mod windowed;

pub(crate) use self::closed::closed;
pub(crate) use self::due::due;
pub(crate) use self::log::{Log, Logged};
pub(crate) use self::numbers::{Asked, Numbers};
pub(crate) use self::open::open;
pub(crate) use self::stream::Lane;
pub(crate) use self::windowed::windowed;
