//! What somebody gets who has taken over a process that reads metadata: after the drop of privileges,
//! in the place of the job.

mod actions;
mod demanded;
mod endings;
mod escapes;
mod kernel;
mod mask;
mod places;
mod taken_over;
