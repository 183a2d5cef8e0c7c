//! The logs that the output of a command is written to.

use std::sync::Arc;

use super::Command;
use crate::event::EventFilter;
use crate::process::log::Log;

impl Command {
    /// Writes its output to a log ([`Service::open_log`](crate::Service::open_log)): that of the streams in the filter,
    /// or of all streams for the empty one. Named again, the log gets those streams as well. It is captured, and delivered to subscriptions, all the same. May be called
    /// for several logs of one service.
    pub fn log(&mut self, log: &Log, streams: EventFilter) -> &mut Self {
        let outputs = EventFilter::STDOUT | EventFilter::STDERR | EventFilter::DESCRIPTORS;
        if !outputs.contains(streams) {
            self.mistake("log", "the filter has kinds of events that are no output");
            return self;
        }
        match &self.router {
            Some(router) if !Arc::ptr_eq(router, log.router()) => {
                self.mistake("log", "the logs are of different services");
                return self;
            }
            _ => self.router = Some(Arc::clone(log.router())),
        }
        self.subscribe_queue(log.queue());
        log.route(streams).join(&mut self.logs);
        self
    }
}
