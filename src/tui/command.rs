//! Everything a key may be bound to, and where: two tables. Keymap files name these ids and nothing
//! else, so no file can reach the console's inner messages.

use std::fmt;

use crate::domain::capability::Capability;
use crate::tui::tabs::{Tab, tabs};

macro_rules! commands {
    (
        {$(
            $tab:ident, $field:ident: $screen:ty, $titles:expr,
            $to:ident, $to_id:literal, $to_help:literal, $to_description:literal, $needs:expr,
            $context:ident, $section:literal, $heading:literal;
        )+}
        {$($first:ident, $first_id:literal, $first_help:literal, $first_description:literal;)+}
        {$($then:ident, $then_id:literal, $then_help:literal, $then_description:literal;)+}
    ) => {
        table! {
            $($first, $first_id, $first_help, $first_description;)+
            $($to, $to_id, $to_help, $to_description;)+
            $($then, $then_id, $then_help, $then_description;)+
        }

        impl Command {
            /// The command that goes to a tab.
            pub const fn to(tab: Tab) -> Self {
                match tab { $(Tab::$tab => Self::$to,)+ }
            }

            /// The tab that it goes to, and what that shows nothing without.
            const fn leads(self) -> Option<(Tab, Option<Capability>)> {
                match self { $(Self::$to => Some((Tab::$tab, $needs)),)+ _ => None }
            }
        }
    };
}

macro_rules! table {
    ($($variant:ident, $id:literal, $help:literal, $description:literal;)+) => {
        /// What a key, or an entry of the palette, can ask for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Command {
            $(#[doc = $description] $variant,)+
        }

        impl Command {
            /// Every command, in the order help lists them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The id that keymap files and the palette use.
            pub const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)+ }
            }

            /// A word or two for the footer, at most 14 characters.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)+ }
            }

            /// One line for the help screen and the palette.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => $description,)+ }
            }

            pub fn parse(id: &str) -> Option<Self> {
                match id { $($id => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

tabs! { commands!
    {
        AppQuit, "app.quit", "quit", "Leave the console";
        AppClose, "app.close", "close", "Close what is open, or else leave the console";
        AppHelp, "app.help", "help", "Show the keys that work here";
        AppPalette, "app.palette", "command", "Find a command by its name";
        AppBack, "app.back", "back", "Go one level back; never leaves the console";
        AppRedraw, "app.redraw", "redraw", "Draw the whole screen again";
        AppSuspend, "app.suspend", "suspend", "Put the console into the background; fg brings it back";
        AppLogout, "app.logout", "log out", "End this session and return to the login";
        TabNext, "tab.next", "next tab", "Go to the next tab";
        TabPrevious, "tab.previous", "previous tab", "Go to the previous tab";
    }
    {
        HistoryBack, "history.back", "where I was", "Go back to the place before this one";
        HistoryForward, "history.forward", "forward", "Go forward again in the history of places";
        CursorUp, "cursor.up", "up", "Move up one row";
        CursorDown, "cursor.down", "down", "Move down one row";
        CursorPageUp, "cursor.page_up", "page up", "Move up one page";
        CursorPageDown, "cursor.page_down", "page down", "Move down one page";
        CursorFirst, "cursor.first", "first", "Move to the first row";
        CursorLast, "cursor.last", "last", "Move to the last row";
        CursorLeft, "cursor.left", "left", "Move to what stands before, in the row or above";
        CursorRight, "cursor.right", "next", "Move to what stands next, in the row or below";
        RowOpen, "row.open", "open", "Open the selected row";
        ListOlder, "list.older", "older", "Load the next page of older rows";
        FilterEdit, "filter.edit", "filter", "Edit the filter of the list, or search a text";
        FilterClear, "filter.clear", "clear", "Clear the text being typed, or the filter";
        FilterAccept, "filter.accept", "accept", "Apply what was typed";
        FilterComplete, "filter.complete", "complete", "Complete the word being typed";
        MatchNext, "match.next", "next problem", "Move to the next problem or hit";
        MatchPrevious, "match.previous", "prev. problem", "Move to the previous problem or hit";
        PollPause, "poll.pause", "freeze", "Freeze or resume live updates";
        PollFaster, "poll.faster", "faster", "Ask for updates more often";
        PollSlower, "poll.slower", "slower", "Ask for updates less often";
        PollNow, "poll.now", "refresh", "Ask for an update now";
        CopyId, "copy.id", "copy id", "Send the selected id to the terminal's clipboard";
        TimeToggle, "time.toggle", "UTC/local", "Show times in UTC or in the local zone";
        ThemeNext, "theme.next", "next theme", "Change to the next theme";
        FoldToggle, "fold.toggle", "fold", "Open or close the selected section";
        FoldAll, "fold.all", "fold all", "Open or close every section";
        DetailSameFailures, "detail.same_failures", "same failures", "List the runs that failed for the same reason";
        InboxMarkRead, "inbox.mark_read", "mark read", "Mark the selected notification as read";
        InboxMarkAllRead, "inbox.mark_all_read", "mark all read", "Mark every notification as read";
        InboxUnreadOnly, "inbox.unread_only", "unread/all", "Show unread notifications only, or all of them";
        OverviewErrors, "overview.errors", "errors", "Show the error groups of the window";
        SampleOpen, "sample.open", "open sample", "Open the run of the sample of an error";
        WindowNext, "window.next", "longer window", "Look further back: 1h, 24h, 7d, 30d, and round again";
        WindowPrevious, "window.previous", "shorter window", "Look less far back, and round again";
        SupportRequest, "support.request", "support", "Ask for support for what is shown or selected";
        SupportDiagnostics, "support.diagnostics", "diagnostics", "Open support diagnostics of it; audited each time";
        SupportTenant, "support.tenant", "tenant", "Show the tenant of it: runs, findings, requests";
        SupportTenants, "support.tenants", "tenants", "Find a tenant";
        DiagnosticsExport, "diagnostics.export", "export", "Write the diagnostics into files, as JSON and Markdown";
        RunRetry, "run.retry", "retry", "Retry the targets that failed or never ran; asks first";
        RunCancel, "run.cancel", "cancel", "Cancel the run; asks first";
        RunPause, "run.pause", "pause run", "Pause or resume the run; asks first";
        RunClose, "run.close", "force close", "Close a run that does not stop by force; asks first";
        WaitForWorker, "worker.wait", "wait for one", "Queue the new run although it waits for a worker";
        BreakGlassToggle, "break_glass.toggle", "break-glass", "Take break-glass, or end it; asks first";
        WizardNext, "wizard.next", "go on", "Go on to the next step of the wizard";
        ScopeNextWay, "scope.next_way", "next way", "Select in the next way: tenants, a workspace, or all";
        ScopePreviousWay, "scope.previous_way", "previous way", "Select in the previous way";
        ScopeMark, "scope.mark", "mark", "Mark or unmark what is under the cursor";
        ScopeUnmark, "scope.unmark", "unmark all", "Remove every mark";
        PreflightNew, "preflight.new", "new preflight", "Count again what the runbook would change";
        PreflightCancel, "preflight.cancel", "cancel", "Cancel the preflight that is counting";
        PlanAffectedOnly, "plan.affected_only", "affected/all", "Show targets with something to change only, or all";
        PlanExport, "plan.export", "export", "Write all targets of the plan into a file (CSV)";
        CommandCopy, "command.copy", "copy command", "Send the command that does the same to the clipboard";
        FieldNext, "field.next", "next field", "Go to the next field";
        FieldPrevious, "field.previous", "previous field", "Go to the previous field";
        FormSubmit, "form.submit", "submit", "Send the form";
        ComposePreview, "compose.preview", "preview", "See what would be stored of the request";
        ComposeSend, "compose.send", "send", "Send the request as the preview shows it";
        ComposeWithhold, "compose.withhold", "leave out", "Leave an item out of it, or take it in again";
        ComposeMask, "compose.mask", "mask", "Mask a passage wherever it stands";
        ComposeUnmask, "compose.unmask", "unmask own", "Take back what was masked by hand last";
        ComposeDiscard, "compose.discard", "discard", "Discard the draft; asks first";
        ComposeShow, "compose.show", "show it", "Show the request that was sent";
        TextUndo, "text.undo", "undo", "Undo the last edit of the text";
        TextRedo, "text.redo", "redo", "Redo the edit that was undone";
    }
}

impl Command {
    pub fn tab(self) -> Option<Tab> {
        self.leads().map(|(tab, _)| tab)
    }

    /// Whether it means the console rather than what is shown, on every tab.
    pub fn is_everywhere(self) -> bool {
        let general = matches!(
            self,
            Self::TabNext
                | Self::TabPrevious
                | Self::HistoryBack
                | Self::HistoryForward
                | Self::PollPause
                | Self::PollFaster
                | Self::PollSlower
                | Self::CopyId
                | Self::SupportRequest
                | Self::SupportDiagnostics
                | Self::SupportTenant
                | Self::SupportTenants
                | Self::RunRetry
                | Self::RunCancel
                | Self::RunPause
                | Self::RunClose
                | Self::BreakGlassToggle
        );
        general || self.tab().is_some()
    }

    /// The capability without which the command cannot do anything, for greying it out.
    /// The check that counts is made where the data is read or written.
    pub const fn capability(self) -> Option<Capability> {
        match self {
            Self::ListOlder
            | Self::FilterEdit
            | Self::MatchNext
            | Self::MatchPrevious
            | Self::DetailSameFailures => Some(Capability::OpsView),
            Self::SampleOpen | Self::SupportTenant | Self::SupportTenants => {
                Some(Capability::OpsView)
            }
            Self::SupportRequest => Some(Capability::SupportRequestsCreate),
            Self::SupportDiagnostics | Self::DiagnosticsExport => {
                Some(Capability::SupportDiagnosticsView)
            }
            Self::RunRetry | Self::RunCancel | Self::RunPause | Self::RunClose => {
                Some(Capability::OpsManage)
            }
            Self::BreakGlassToggle => Some(Capability::BreakGlassUse),
            _ => match self.leads() {
                Some((_, needs)) => needs,
                None => None,
            },
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

macro_rules! contexts {
    (
        {$(
            $tab:ident, $field:ident: $screen:ty, $titles:expr,
            $command:ident, $id:literal, $help:literal, $description:literal, $capability:expr,
            $context:ident, $section:literal, $heading:literal;
        )+}
        {$($other:ident, $other_section:literal, $other_heading:literal $(, $text:ident)?;)+}
    ) => {
        /// Where a key is pressed; a keymap file has one section for each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Context {
            /// Everywhere; every other context is asked first.
            Global,
            $($context,)+
            $($other,)+
        }

        impl Context {
            /// Where the keys of tabs are looked up from one.
            pub const fn of(tab: Tab) -> Self {
                match tab { $(Tab::$tab => Self::$context,)+ }
            }

            /// Every context, `Global` first.
            pub const ALL: &'static [Self] =
                &[Self::Global, $(Self::$context,)+ $(Self::$other,)+];

            pub const fn title(self) -> &'static str {
                match self {
                    Self::Global => "Everywhere",
                    $(Self::$context => $heading,)+
                    $(Self::$other => $other_heading,)+
                }
            }

            /// The name of its section in a keymap file.
            pub const fn id(self) -> &'static str {
                match self {
                    Self::Global => "global",
                    $(Self::$context => $section,)+
                    $(Self::$other => $other_section,)+
                }
            }

            pub fn parse(id: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|context| context.id() == id)
            }

            /// Whether printable keys belong to a text field here.
            pub const fn is_text(self) -> bool {
                match self {
                    $($(Self::$other => is!($text),)?)+
                    _ => false,
                }
            }
        }
    };
}

macro_rules! is {
    (text) => {
        true
    };
}

tabs! { contexts! {
        Errors, "errors", "In the list of errors";
        Report, "report", "After a retry of an error";
        Request, "request", "In a support request";
        Tenants, "tenants", "In the list of tenants";
        Tenant, "tenant", "In a tenant";
        RunTenants, "run_tenants", "While a tenant of a run is selected";
        Diagnostics, "diagnostics", "In diagnostics";
        Search, "search", "In a search", text;
        Scope, "scope", "While a scope is selected";
        Plan, "plan", "In a preflight";
        Refused, "refused", "After a refused start", text;
        Phrase, "phrase", "Before a start", text;
        Discard, "discard", "Before a draft is discarded", text;
        Help, "help", "In this help";
        Palette, "palette", "In the command palette", text;
        Filter, "filter", "In the filter line", text;
        Confirm, "confirm", "In a confirmation", text;
        Form, "form", "In a form", text;
        Compose, "compose", "While a support request is written", text;
        Notes, "notes", "In the notes of a support request", text;
        Preview, "preview", "Before a support request is sent";
        Mask, "mask", "While a passage to mask is typed", text;
        Sent, "sent", "After a support request was sent";
        Login, "login", "In the login", text;
} }

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_and_texts_fit() {
        for command in Command::ALL {
            assert_eq!(Command::parse(command.id()), Some(*command));
            assert!(command.help().chars().count() <= 14, "{command}");
            assert!(command.description().chars().count() <= 60, "{command}");
        }
        assert_eq!(Command::parse("app.explode"), None);
        for context in Context::ALL {
            assert_eq!(Context::parse(context.id()), Some(*context));
        }
    }
}
