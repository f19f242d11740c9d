//! A page as a browser reads it.

use html5ever::tendril::TendrilSink;
use html5ever::tokenizer::TokenizerOpts;
use html5ever::{ParseOpts, ns, parse_document};
use markup5ever_rcdom::{Handle, NodeData, RcDom};

/// An element: its name, after `svg` when it is part of a picture, and its attributes.
pub struct Element {
    pub name: String,
    pub attributes: Vec<(String, String)>,
}

impl Element {
    /// Returns the value of an attribute.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// What is in a page.
#[derive(Default)]
pub struct Page {
    /// What the parser had to put right.
    pub errors: Vec<String>,
    /// The elements, in order.
    pub elements: Vec<Element>,
    /// All text.
    pub text: String,
    /// How many comments there are.
    pub comments: usize,
}

impl Page {
    /// Reads a page strictly.
    pub fn of(html: &str) -> Self {
        let tokenizer = TokenizerOpts { exact_errors: true, ..TokenizerOpts::default() };
        let dom = parse_document(RcDom::default(), ParseOpts { tokenizer, ..ParseOpts::default() }).one(html);
        let mut page = Self::default();
        page.take(&dom.document);
        page.errors = dom.errors.borrow().iter().map(ToString::to_string).collect();
        page
    }

    fn take(&mut self, node: &Handle) {
        match &node.data {
            NodeData::Element { name, attrs, .. } => {
                let attributes = attrs.borrow();
                let attributes =
                    attributes.iter().map(|one| (one.name.local.to_string(), one.value.to_string()));
                let own =
                    if name.ns == ns!(svg) { format!("svg {}", name.local) } else { name.local.to_string() };
                self.elements.push(Element { name: own, attributes: attributes.collect() });
            }
            NodeData::Text { contents } => self.text.push_str(&contents.borrow()),
            NodeData::Comment { .. } => self.comments += 1,
            NodeData::Document | NodeData::Doctype { .. } | NodeData::ProcessingInstruction { .. } => {}
        }
        node.children.borrow().iter().for_each(|child| self.take(child));
    }

    /// Returns the elements of a name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &Element> {
        self.elements.iter().filter(move |element| element.name == name)
    }

    /// Returns the values of an attribute, of all elements that have it.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.elements.iter().filter_map(move |element| element.get(name))
    }
}
