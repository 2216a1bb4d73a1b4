// SPDX-License-Identifier: Apache-2.0
//! Keeps the device's state twice, in both PSA storage services where there are
//! two, and knows at every start which copy counts.
//!
//! A commit writes the first copy, then the second, and is done when both hold.
//! At a start the newer one counts, and the other is written again before
//! anything else changes. So what decays, or is wiped, in one service is found
//! in the other; and a copy that an interrupted commit left behind is behind by
//! that one commit.

use zerocopy::IntoBytes;

use crate::bytes::copy;
use crate::error::Error;
use crate::platform::{Crypto, Storage};
use crate::state::{self, State};
use crate::store::Store;

/// What the copies say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// There is none, or but the beginning of the first that was ever written.
    Nothing,
    /// There is none that can be read, and there was one.
    Broken,
    /// Storage gives none now, and may another time.
    Unread,
    /// There is one, and perhaps a copy to be written again.
    State(Place, Option<Repair>),
}

/// One of the copies' places: of the copy itself, or its spare one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    copy: usize,
    spare: bool,
}

/// A copy to be written again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Repair {
    copy: usize,
    /// It decayed, was removed or put back: no interrupted commit leaves that.
    pub(crate) damaged: bool,
}

/// What one copy is.
#[derive(Clone, Copy)]
enum Copy {
    Absent,
    Broken,
    /// Storage did not give it now.
    Unread,
    /// It is of this generation, and in this place.
    Good(u32, Place),
}

impl<P: Storage + Crypto> Store<'_, P> {
    /// Finds the state, and leaves what it read for [`Store::state_in`].
    pub(crate) fn find_state(&mut self) -> Result<Found, Error> {
        // The first commit of all leaves nothing in the second place, where it is
        // interrupted; each later one leaves a copy behind by one.
        let repair = |copy, found: Copy, generation| {
            let is_cut = matches!(found, Copy::Absent) && copy == 1 && generation == 1;
            Some(Repair { copy, damaged: !is_cut })
        };
        Ok(match (self.read_copy(0)?, self.read_copy(1)?) {
            (Copy::Good(a, first), Copy::Good(b, second)) => {
                let behind = (a != b).then_some(usize::from(a > b));
                let repair = behind.map(|copy| Repair { copy, damaged: a.abs_diff(b) > 1 });
                Found::State(if b > a { second } else { first }, repair)
            }
            (Copy::Good(a, place), other) => Found::State(place, repair(1, other, a)),
            (other, Copy::Good(b, place)) => Found::State(place, repair(0, other, b)),
            (Copy::Unread, _) | (_, Copy::Unread) => Found::Unread,
            (Copy::Absent | Copy::Broken, Copy::Absent) => Found::Nothing,
            _ => Found::Broken,
        })
    }

    /// Commits a state: both copies hold it when this succeeds. Where there is
    /// no room for the second, the first goes back to what stood before: what is
    /// refused for want of room has no effect. After another error either copy
    /// may hold it.
    pub(crate) fn write_state(
        &mut self,
        state: &State,
        before: Option<&State>,
    ) -> Result<(), Error> {
        self.set_copy(0, state)?;
        let written = self.set_copy(1, state);
        if written == Err(Error::StorageFull) {
            match before {
                Some(before) => self.set_copy(0, before)?,
                None => {
                    let id = self.layout.state_copy(0, false);
                    self.platform.remove(id)?;
                }
            }
        }
        written
    }

    /// Writes a copy again.
    pub(crate) fn repair_state(&mut self, state: &State, repair: Repair) -> Result<(), Error> {
        self.set_copy(repair.copy, state)
    }

    /// Writes a copy; to its spare place where the first is broken for good, as
    /// what TF-M's protected storage cannot authenticate is.
    #[inline(never)]
    fn set_copy(&mut self, copy_is: usize, state: &State) -> Result<(), Error> {
        let content = state.as_bytes();
        let digest = self.platform.sha256(&[content])?;
        let bytes = self.scratch.get_mut(..state::LEN).ok_or(Error::InvalidArgument)?;
        copy(bytes, content);
        copy(bytes.get_mut(content.len()..).unwrap_or_default(), &digest);
        match self.platform.set(self.layout.state_copy(copy_is, false), bytes) {
            Ok(()) => Ok(()),
            Err(Error::StorageFull) => Err(Error::StorageFull),
            Err(_) => self.platform.set(self.layout.state_copy(copy_is, true), bytes),
        }
    }

    /// The newer of a copy's two places, or what is wrong with both.
    fn read_copy(&mut self, copy: usize) -> Result<Copy, Error> {
        let places = [
            self.read_place(Place { copy, spare: false })?,
            self.read_place(Place { copy, spare: true })?,
        ];
        Ok(match places {
            [Copy::Good(first, _), spare @ Copy::Good(second, _)] if second > first => spare,
            [good @ Copy::Good(..), _] | [_, good @ Copy::Good(..)] => good,
            [Copy::Absent, Copy::Absent] => Copy::Absent,
            [Copy::Unread, _] | [_, Copy::Unread] => Copy::Unread,
            _ => Copy::Broken,
        })
    }

    /// Reads a place to its part of the scratch buffer, and judges it.
    #[inline(never)]
    fn read_place(&mut self, place: Place) -> Result<Copy, Error> {
        let start = place.start();
        let bytes = self.scratch.get_mut(start..start + ROOM).ok_or(Error::InvalidArgument)?;
        match self.platform.get(self.layout.state_copy(place.copy, place.spare), bytes) {
            Ok(Some(state::LEN)) => {}
            Ok(Some(_)) | Err(Error::Corrupt) => return Ok(Copy::Broken),
            Ok(None) => return Ok(Copy::Absent),
            Err(_) => {
                self.has_unread = true;
                return Ok(Copy::Unread);
            }
        }
        let content = bytes.get(..CONTENT).unwrap_or_default();
        let digest = self.platform.sha256(&[content])?;
        let Some(state) =
            State::read(content).filter(|_| bytes.get(CONTENT..state::LEN) == Some(&digest))
        else {
            return Ok(Copy::Broken);
        };
        Ok(Copy::Good(state.generation(), place))
    }

    /// The state that was found in a place, as long as nothing else was read.
    pub(crate) fn state_in(&self, place: Place) -> Option<&State> {
        let start = place.start();
        State::read(self.scratch.get(start..start + CONTENT)?)
    }
}

/// Length of a state without its digest.
const CONTENT: usize = size_of::<State>();

/// Room that a place is read to: a byte more than a state has shows what is
/// longer.
const ROOM: usize = state::LEN + 1;

impl Place {
    /// Where in the scratch buffer it is read to.
    fn start(self) -> usize {
        (2 * self.copy + usize::from(self.spare)) * ROOM
    }
}
