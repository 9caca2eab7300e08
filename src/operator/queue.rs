//! Who is to be looked at next.

use kube_runtime::controller::{ReconcileReason, ReconcileRequest};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::index::{Guarded, Key};

/// Where wakes go in. The controller takes them out, one at a time for each object; what is woken twice while it waits
/// is looked at once.
#[derive(Clone, Debug)]
pub struct Queue(mpsc::UnboundedSender<ReconcileRequest<Guarded>>);

/// Where they come out.
pub type Wakes = UnboundedReceiverStream<ReconcileRequest<Guarded>>;

impl Queue {
    pub fn new() -> (Self, Wakes) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), UnboundedReceiverStream::new(receiver))
    }

    pub fn wake(&self, key: &Key, reason: &str) {
        let reason = ReconcileReason::Custom { reason: reason.to_owned() };
        // Nobody takes wakes once the controller has stopped.
        let _ = self.0.send(ReconcileRequest { obj_ref: key.clone(), reason });
    }
}
