const root = document.getElementById('login-root');
const shape = root.dataset.shape;
const field = (name, label, type, autocomplete) => {
  const tag = document.createElement('label');
  tag.htmlFor = 'login-' + name;
  tag.textContent = label;
  const input = document.createElement('input');
  Object.assign(input, {id: 'login-' + name, name, type, autocomplete, required: true});
  return [tag, input];
};
const who = () => [...field('company_id', 'Company ID', 'text', 'organization'),
  ...field('username', 'User name', 'text', 'username')];
const secret = () => field('password', 'Password', 'password', 'current-password');
const hidden = (name, value) => Object.assign(
  document.createElement('input'), {type: 'hidden', name, value});
const button = text => Object.assign(
  document.createElement('button'), {type: 'submit', textContent: text});
const draw = () => {
  const form = document.createElement('form');
  form.method = 'post';
  form.action = '/login';
  if (shape === 'inner_page') form.target = '_top';
  if (shape === 'new_tab') form.target = '_blank';
  if (shape === 'alert') alert('Welcome back!');
  if (shape === 'script_error') throw new Error('the form cannot be drawn');
  const token = hidden('csrf_token', root.dataset.token);
  if (shape === 'two_steps') {
    form.append(...who(), token, button('Next'));
    const next = event => {
      event.preventDefault();
      form.removeEventListener('submit', next);
      const [company, user] = [form.company_id.value, form.username.value];
      setTimeout(() => form.replaceChildren(hidden('company_id', company),
        hidden('username', user), ...secret(), token, button('Sign in')), 60);
    };
    form.addEventListener('submit', next);
  } else form.append(...who(), ...secret(), token, button('Sign in'));
  if (shape === 'shadow') root.attachShadow({mode: 'open'}).append(form);
  else root.replaceChildren(form);
};
window.addEventListener('load', () => setTimeout(draw, shape === 'slow' ? 1000 : 120));
