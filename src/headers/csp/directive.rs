//! The directives of a policy.

use std::fmt;

/// What a directive takes as its value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// A source list.
    Sources,
    /// A source list that code is loaded from.
    Code,
    /// Who may embed the page.
    Ancestors,
    /// Nothing, or what a sandbox allows.
    Sandbox,
    /// The name of one reporting endpoint.
    Endpoint,
    /// Addresses.
    Uris,
    /// `'script'`.
    Sinks,
    /// Names of Trusted Types policies.
    Policies,
    /// Nothing.
    Nothing,
}

macro_rules! directives {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $takes:ident;)*) => {
        /// A directive of a Content Security Policy (Level 3, and Trusted Types).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Directive {
            $($(#[$doc])* $name,)*
        }

        impl Directive {
            /// Every directive there is. Obsolete ones (`plugin-types`, `referrer`, `block-all-mixed-content`, ..) are not.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            pub(super) const fn takes(self) -> Takes {
                match self { $(Self::$name => Takes::$takes,)* }
            }
        }
    };
}

directives! {
    /// Whatever has no directive of its own.
    DefaultSrc = "default-src", Code;
    /// Scripts.
    ScriptSrc = "script-src", Code;
    /// Scripts in elements.
    ScriptSrcElem = "script-src-elem", Code;
    /// Scripts in attributes (`onclick`).
    ScriptSrcAttr = "script-src-attr", Code;
    /// Style sheets.
    StyleSrc = "style-src", Sources;
    /// Style sheets in elements.
    StyleSrcElem = "style-src-elem", Sources;
    /// Styles in attributes.
    StyleSrcAttr = "style-src-attr", Sources;
    /// Plugins.
    ObjectSrc = "object-src", Code;
    /// Workers.
    WorkerSrc = "worker-src", Sources;
    /// Images.
    ImgSrc = "img-src", Sources;
    /// Sound and video.
    MediaSrc = "media-src", Sources;
    /// Fonts.
    FontSrc = "font-src", Sources;
    /// `fetch`, sockets, beacons.
    ConnectSrc = "connect-src", Sources;
    /// What the page embeds.
    FrameSrc = "frame-src", Sources;
    /// Frames and workers.
    ChildSrc = "child-src", Sources;
    /// Fenced frames.
    FencedFrameSrc = "fenced-frame-src", Sources;
    /// Manifests.
    ManifestSrc = "manifest-src", Sources;
    /// What `<base>` may say.
    BaseUri = "base-uri", Code;
    /// Where forms go.
    FormAction = "form-action", Sources;
    /// Who may embed the page.
    FrameAncestors = "frame-ancestors", Ancestors;
    /// The page as if in a sandboxed frame.
    Sandbox = "sandbox", Sandbox;
    /// Where reports go: a name of [`ReportingEndpoints`](crate::headers::ReportingEndpoints).
    ReportTo = "report-to", Endpoint;
    /// Where reports of browsers go that don't know `report-to`.
    ReportUri = "report-uri", Uris;
    /// Text is not taken where a script would come of it.
    RequireTrustedTypesFor = "require-trusted-types-for", Sinks;
    /// The Trusted Types policies there may be.
    TrustedTypes = "trusted-types", Policies;
    /// `http:` becomes `https:` in the page.
    UpgradeInsecureRequests = "upgrade-insecure-requests", Nothing;
}

impl Directive {
    /// Reads a name, in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|directive| directive.as_str().eq_ignore_ascii_case(name))
    }

    /// Whether a nonce or hash means something here.
    pub(super) const fn takes_nonce(self) -> bool {
        matches!(
            self,
            Self::DefaultSrc | Self::ScriptSrc | Self::ScriptSrcElem | Self::StyleSrc | Self::StyleSrcElem
        )
    }

    /// Whether browsers pass over it in a policy that only reports.
    pub(super) const fn only_enforced(self) -> bool {
        matches!(self, Self::Sandbox | Self::UpgradeInsecureRequests)
    }
}

impl fmt::Display for Directive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
