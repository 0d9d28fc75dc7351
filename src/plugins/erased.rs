//! Connectors without their types: native async traits become one boxed future per run, put or question.

use std::{collections::BTreeMap, marker::PhantomData, path::PathBuf, sync::Arc};
use tapline_sdk::{
    Assignment, Batch, BoxFuture, Config, Error, Info, Issue, Position, Rejected, Result, Sink,
    SinkContext, Source, SourceContext, TopicPartition,
};

/// Text settings of one task.
type TaskConfig = BTreeMap<String, String>;

/// What is asked of a connector without a running task.
macro_rules! questions {
    () => {
        /// Class, keys and aliases.
        fn info(&self) -> &'static Info;
        /// See [`tapline_sdk::Connector::validate`].
        fn validate(&self, config: &Config) -> Vec<Issue>;
        /// See [`tapline_sdk::Connector::files`].
        fn files(&self, config: &Config) -> Vec<(&'static str, PathBuf)>;
        /// See [`tapline_sdk::Connector::probe`].
        fn probe<'a>(&'a self, config: &'a Config) -> BoxFuture<'a, Vec<Issue>>;
        /// See [`tapline_sdk::Connector::task_configs`].
        fn task_configs(&self, config: &Config, tasks_max: u32) -> Vec<TaskConfig>;
        /// See [`tapline_sdk::Connector::alter_offsets`].
        fn alter_offsets<'a>(
            &'a self,
            config: &'a Config,
            to: &'a [(Position, Option<Position>)],
        ) -> BoxFuture<'a, Result<bool>>;
        /// See [`tapline_sdk::Connector::purge`].
        fn purge<'a>(&'a self, config: &'a Config) -> BoxFuture<'a, Result<()>>;
    };
}

/// The answers, the same for both kinds.
macro_rules! answers {
    ($connector:ident) => {
        fn info(&self) -> &'static Info {
            const { &$connector::INFO }
        }
        fn validate(&self, config: &Config) -> Vec<Issue> {
            $connector::validate(config)
        }
        fn files(&self, config: &Config) -> Vec<(&'static str, PathBuf)> {
            $connector::files(config)
        }
        fn probe<'a>(&'a self, config: &'a Config) -> BoxFuture<'a, Vec<Issue>> {
            Box::pin($connector::probe(config))
        }
        fn task_configs(&self, config: &Config, tasks_max: u32) -> Vec<TaskConfig> {
            $connector::task_configs(config, tasks_max)
        }
        fn alter_offsets<'a>(
            &'a self,
            config: &'a Config,
            to: &'a [(Position, Option<Position>)],
        ) -> BoxFuture<'a, Result<bool>> {
            Box::pin($connector::alter_offsets(config, to))
        }
        fn purge<'a>(&'a self, config: &'a Config) -> BoxFuture<'a, Result<()>> {
            Box::pin($connector::purge(config))
        }
    };
}

/// A source connector, erased.
pub trait SourcePlugin: Send + Sync {
    questions!();
    /// See [`tapline_sdk::Connector::connect`].
    fn connect(&self, config: Config) -> BoxFuture<'static, Result<Box<dyn DynSource>>>;
}

/// A sink connector, erased.
pub trait SinkPlugin: Send + Sync {
    questions!();
    /// See [`tapline_sdk::Connector::connect`].
    fn connect(&self, config: Config) -> BoxFuture<'static, Result<Box<dyn DynSink>>>;
    /// See [`Sink::positions`].
    fn positions<'a>(
        &'a self,
        config: &'a Config,
        context: &'a SinkContext,
    ) -> BoxFuture<'a, Result<Vec<(TopicPartition, u64)>>>;
}

/// A connected source task.
pub trait DynSource: Send {
    /// See [`Source::run`].
    fn run(self: Box<Self>, context: SourceContext) -> BoxFuture<'static, Result<(), Error>>;
}

/// A connected sink task.
pub trait DynSink: Send {
    /// See [`Sink::open`].
    fn open<'a>(
        &'a mut self,
        context: &'a SinkContext,
        assigned: &'a [Assignment],
        stored: &'a [Option<u64>],
    ) -> BoxFuture<'a, Result<Vec<Option<u64>>>>;
    /// See [`Sink::put`].
    fn put<'a>(&'a mut self, batch: Batch<'a>) -> BoxFuture<'a, Result<Vec<Rejected>>>;
    /// See [`Sink::durable`].
    fn durable(&self) -> Vec<(TopicPartition, u64)>;
    /// See [`Sink::close`].
    fn close(self: Box<Self>) -> BoxFuture<'static, Result<()>>;
}

/// A connector's type without a value of it.
struct Of<C>(PhantomData<fn() -> C>);

pub(super) fn source<S: Source>() -> Arc<dyn SourcePlugin> {
    Arc::new(Of::<S>(PhantomData))
}

pub(super) fn sink<S: Sink>() -> Arc<dyn SinkPlugin> {
    Arc::new(Of::<S>(PhantomData))
}

impl<S: Source> SourcePlugin for Of<S> {
    answers!(S);
    fn connect(&self, config: Config) -> BoxFuture<'static, Result<Box<dyn DynSource>>> {
        Box::pin(async move { Ok(Box::new(S::connect(config).await?) as Box<dyn DynSource>) })
    }
}

impl<S: Sink> SinkPlugin for Of<S> {
    answers!(S);
    fn connect(&self, config: Config) -> BoxFuture<'static, Result<Box<dyn DynSink>>> {
        Box::pin(async move { Ok(Box::new(S::connect(config).await?) as Box<dyn DynSink>) })
    }
    fn positions<'a>(
        &'a self,
        config: &'a Config,
        context: &'a SinkContext,
    ) -> BoxFuture<'a, Result<Vec<(TopicPartition, u64)>>> {
        Box::pin(S::positions(config, context))
    }
}

impl<S: Source> DynSource for S {
    fn run(self: Box<Self>, context: SourceContext) -> BoxFuture<'static, Result<()>> {
        Box::pin((*self).run(context))
    }
}

impl<S: Sink> DynSink for S {
    fn open<'a>(
        &'a mut self,
        context: &'a SinkContext,
        assigned: &'a [Assignment],
        stored: &'a [Option<u64>],
    ) -> BoxFuture<'a, Result<Vec<Option<u64>>>> {
        Box::pin(Sink::open(self, context, assigned, stored))
    }
    fn put<'a>(&'a mut self, batch: Batch<'a>) -> BoxFuture<'a, Result<Vec<Rejected>>> {
        Box::pin(Sink::put(self, batch))
    }
    fn durable(&self) -> Vec<(TopicPartition, u64)> {
        Sink::durable(self)
    }
    fn close(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(Sink::close(*self))
    }
}
