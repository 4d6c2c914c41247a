/**
 * Untrusted Markdown (DAG docs, notes) as React elements: headings, lists, quotes, code, emphasis, links, tables as text.
 * Nothing of it ever becomes HTML; what is not understood is shown as it was written. Links go to http, https, mailto only.
 */
import { Fragment, type ReactNode, memo } from 'react';
import classes from './SafeText.module.css';
import { type Block, parseBlocks, parseInline, safeAddress } from './markdown';

export const SafeText = memo(function SafeText({ text }: { text: string }) {
  return (
    <div className={classes.text}>
      {parseBlocks(text).map((block, at) => (
        <BlockView key={at} block={block} />
      ))}
    </div>
  );
});

function BlockView({ block }: { block: Block }): ReactNode {
  switch (block.kind) {
    case 'heading':
      // The page's own headings are h1 and h2: a doc's begin below them.
      return block.level === 1 ? (
        <h3>
          <Inline text={block.text} />
        </h3>
      ) : (
        <h4>
          <Inline text={block.text} />
        </h4>
      );
    case 'code':
      return <pre tabIndex={0}>{block.text}</pre>;
    case 'quote':
      return (
        <blockquote>
          {block.blocks.map((inner, at) => (
            <BlockView key={at} block={inner} />
          ))}
        </blockquote>
      );
    case 'list': {
      const items = block.items.map((item, at) => (
        <li key={at}>
          <Inline text={item} />
        </li>
      ));
      return block.ordered ? <ol>{items}</ol> : <ul>{items}</ul>;
    }
    case 'rule':
      return <hr />;
    case 'paragraph':
      return (
        <p>
          <Inline text={block.text} />
        </p>
      );
  }
}

function Inline({ text }: { text: string }): ReactNode {
  return parseInline(text).map((span, at) => {
    switch (span.kind) {
      case 'code':
        return <code key={at}>{span.text}</code>;
      case 'strong':
        return (
          <strong key={at}>
            <Inline text={span.text} />
          </strong>
        );
      case 'emphasis':
        return (
          <em key={at}>
            <Inline text={span.text} />
          </em>
        );
      case 'link': {
        const address = safeAddress(span.address);
        if (!address) return <Fragment key={at}>{span.source}</Fragment>;
        return (
          <a key={at} href={address} target="_blank" rel="noopener noreferrer nofollow">
            {span.text}
          </a>
        );
      }
      case 'text':
        return <Fragment key={at}>{span.text}</Fragment>;
    }
  });
}
