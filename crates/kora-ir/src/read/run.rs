//! `run`: an operation with its arguments, or a question to a model.

use std::sync::Arc;

use super::fields::fields;
use super::words::MAX_EXACT;
use super::{Kind, Read, Reader, RunDraft, TemplateDraft};
use crate::report::At;
use crate::{Message, ModelCall, ModelParameters, PromptTemplate, Role, ViolationCode};

fields! { RunField {
    Operation = "operation",
    Args = "args",
    Model = "model",
    Prompt = "prompt",
    Messages = "messages",
    Parameters = "parameters",
}}

fields! { MessageField { Role = "role", Content = "content" } }
fields! { ParameterField { Seed = "seed", Temperature = "temperature", TopP = "top_p" } }

const ROLES: [(&str, Role); 3] =
    [("system", Role::System), ("user", Role::User), ("assistant", Role::Assistant)];
const MAX_MESSAGES: usize = 1_000;

const FORMS: &str = "an operation is `{\"operation\": name, \"args\": {}}`, a question to a model `{\"model\": id, \
                     \"prompt\": text}` or `{\"model\": id, \"messages\": []}`";

impl<'s> Reader<'s, '_> {
    pub(super) fn run(&mut self) -> Read<Option<RunDraft>> {
        let Some(mut object) = self.object("`run`")? else { return Ok(None) };
        let (mut operation, mut args, mut model, mut messages) = (None, None, None, None);
        let mut parameters = ModelParameters::default();
        while let Some(field) = self.next_field(&mut object)? {
            match field {
                RunField::Operation => operation = self.id()?,
                RunField::Args => args = self.args()?,
                RunField::Model => model = self.model()?,
                RunField::Prompt => {
                    let prompt = self.prompt(&mut 0)?;
                    messages =
                        prompt.map(|content| Box::from([Message { role: Role::User, content }])).or(messages);
                }
                RunField::Messages => messages = self.messages()?,
                RunField::Parameters => parameters = self.parameters()?,
            }
        }
        let of_operation = object.has(RunField::Operation) || object.has(RunField::Args);
        let of_model = [RunField::Model, RunField::Prompt, RunField::Messages, RunField::Parameters];
        let of_model = of_model.into_iter().any(|field| object.has(field));
        let fault = match (of_operation, of_model) {
            (true, true) => Some((ViolationCode::MixedRun, "`run` both names an operation and asks a model")),
            (false, false) => Some((ViolationCode::MissingField, "`run` lacks `operation` or `model`")),
            (true, false) if !object.has(RunField::Operation) => {
                Some((ViolationCode::MissingField, "`run` lacks `operation`"))
            }
            (false, true) if !object.has(RunField::Model) => {
                Some((ViolationCode::MissingField, "`run` lacks `model`"))
            }
            (false, true) if object.has(RunField::Prompt) == object.has(RunField::Messages) => {
                Some((ViolationCode::MissingField, "`run` needs either `prompt` or `messages`"))
            }
            (true, false) | (false, true) => None,
        };
        if let Some((code, message)) = fault {
            self.report.add(code, At::Offset(object.offset), message, FORMS.to_owned());
            return Ok(None);
        }
        if of_operation {
            let args =
                if object.has(RunField::Args) { args } else { Some(TemplateDraft::Fixed(Arc::new(empty()))) };
            return Ok(operation.zip(args).map(|(operation, args)| match args {
                TemplateDraft::Fixed(args) => RunDraft::Operation(self.shared.operation(&operation, args)),
                args @ TemplateDraft::Open { .. } => {
                    RunDraft::OpenOperation(Box::new((self.shared.name(&operation), args)))
                }
            }));
        }
        let call = model.zip(messages).map(|(model, messages)| ModelCall { model, messages, parameters });
        Ok(call.map(Box::new).map(RunDraft::Model))
    }

    fn args(&mut self) -> Read<Option<TemplateDraft>> {
        if self.json.peek()? != Kind::Object {
            self.wrong_type("an object")?;
            return Ok(None);
        }
        self.template().map(Some)
    }

    /// A model id or tier. Its characters are those of other ids, and `/` and `@` as hubs write them.
    fn model(&mut self) -> Read<Option<Arc<str>>> {
        let offset = self.next_offset()?;
        let Some(text) = self.string()? else { return Ok(None) };
        let allowed =
            |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'`' | b'<' | b'>');
        if !text.is_empty() && text.len() <= self.limits.max_id_bytes && text.bytes().all(allowed) {
            return Ok(Some(self.shared.name(&text)));
        }
        self.report.add(
            ViolationCode::InvalidId,
            At::Offset(offset),
            format!("`{}` is not the name of a model", super::fields::shorten(&text)),
            format!("use 1 to {} printable ASCII characters without spaces", self.limits.max_id_bytes),
        );
        Ok(None)
    }

    fn messages(&mut self) -> Read<Option<Box<[Message<PromptTemplate>]>>> {
        if self.json.peek()? != Kind::Array {
            self.wrong_type("an array of messages")?;
            return Ok(None);
        }
        let offset = self.json.offset();
        let (mut messages, mut bytes, mut sound, mut count) = (Vec::new(), 0, true, 0);
        let mut more = self.json.enter_array()?;
        while more {
            count += 1;
            if count > MAX_MESSAGES {
                self.json.skip_next()?;
            } else {
                match self.message(&mut bytes)? {
                    Some(message) => messages.push(message),
                    None => sound = false,
                }
            }
            more = self.json.next_element()?;
        }
        if count == 0 || count > MAX_MESSAGES {
            self.report.add(
                ViolationCode::InvalidPrompt,
                At::Offset(offset),
                format!("{count} messages"),
                format!("write 1 to {MAX_MESSAGES}"),
            );
            sound = false;
        }
        Ok(sound.then(|| messages.into()))
    }

    fn message(&mut self, bytes: &mut usize) -> Read<Option<Message<PromptTemplate>>> {
        let Some(mut object) = self.object("a message")? else { return Ok(None) };
        let (mut role, mut content) = (None, None);
        while let Some(field) = self.next_field(&mut object)? {
            match field {
                MessageField::Role => role = self.word(&ROLES)?,
                MessageField::Content => content = self.prompt(bytes)?,
            }
        }
        self.require(&object, &[MessageField::Role, MessageField::Content], "");
        Ok(role.zip(content).map(|(role, content)| Message { role, content }))
    }

    fn prompt(&mut self, bytes: &mut usize) -> Read<Option<PromptTemplate>> {
        let offset = self.next_offset()?;
        let Some(text) = self.string()? else { return Ok(None) };
        *bytes += text.len();
        if *bytes > self.limits.max_prompt_bytes {
            self.report.add(
                ViolationCode::PayloadTooLarge,
                At::Offset(offset),
                format!("messages of {bytes} bytes"),
                format!("use at most {} bytes", self.limits.max_prompt_bytes),
            );
            return Ok(None);
        }
        match PromptTemplate::parse(&text) {
            Ok(prompt) => {
                let fault =
                    prompt.pointers().find_map(|pointer| Some((pointer, crate::pointer::fault(pointer)?)));
                if let Some((pointer, help)) = fault {
                    let message = format!("`{}` is not a JSON pointer", super::fields::shorten(pointer));
                    self.report.add(
                        ViolationCode::InvalidPointer,
                        At::Offset(offset),
                        message,
                        help.to_owned(),
                    );
                    return Ok(None);
                }
                Ok(Some(prompt))
            }
            Err(error) => {
                self.report.add(
                    ViolationCode::InvalidPrompt,
                    At::Offset(offset),
                    error.to_string(),
                    String::from(
                        "a placeholder is `{{/pointer/into/input}}`; write `{{{{` for a literal `{{`",
                    ),
                );
                Ok(None)
            }
        }
    }

    fn parameters(&mut self) -> Read<ModelParameters> {
        let mut parameters = ModelParameters::default();
        let Some(mut object) = self.object("`parameters`")? else { return Ok(parameters) };
        let code = ViolationCode::InvalidParameter;
        while let Some(field) = self.next_field(&mut object)? {
            match field {
                ParameterField::Seed => parameters.seed = self.whole(MAX_EXACT, code)?,
                ParameterField::Temperature => {
                    parameters.temperature =
                        self.real(code, "a number from 0 to 2", |number| (0.0..=2.0).contains(&number))?;
                }
                ParameterField::TopP => {
                    parameters.top_p = self.real(code, "a number above 0 and at most 1", |number| {
                        number > 0.0 && number <= 1.0
                    })?;
                }
            }
        }
        Ok(parameters)
    }
}

fn empty() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}
