// Sets the theme before anything is drawn, so that nothing flashes. A classic script runs at once; a module
// would not.
document.documentElement.dataset.theme = localStorage.getItem('theme') ?? 'auto'
